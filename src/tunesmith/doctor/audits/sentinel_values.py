"""sentinel_values: a number that stands for a missing value, such as -999 or 9999.

Sees      the smallest or the largest value of a column, held by several rows, with nothing near it: the distance to the next value is
          3 times the whole range of the others, or once where it is a usual mark (-1, -9, -99, -999 …, 99, 999 …). And 0 in
          columns whose other values lie 4 deviations above it and never come near: a note.
Matters   the mark is read as a number: it moves the mean, widens the scale until all others look alike, and fills no gap.
Remedies  empty those cells, so that they count as missing (advice).
Limits    marks inside the range of the others cannot be told from numbers. An upper end that long tails reach (an income of
          99999) is a note only, as is a mark that most rows hold.
Source    marks in use: UCI Adult (99999), bank marketing (999), meteorology (-999, -9999); distances: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import sources
from tunesmith.doctor.audits.number_columns import number_columns
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

FAR = 3.0  # ranges of the others between the mark and the next value; assumption
NEAR = 1.0  # the same for a usual mark; assumption
ABOVE_ZERO = 4.0  # deviations of the others from 0; assumption
MARKS = frozenset({-1.0, *(sign * (10.0**k - 1) for k in range(1, 8) for sign in (-1, 1)), -32768.0, -8888.0, 8888.0})
LOWEST_MARK = 99.0  # 9 is too often a number
FEWEST = 50  # rows; assumption
MOSTLY = 0.5  # share of rows from which the mark is how the column says no; assumption
HELD = 3  # rows that hold the mark; assumption
DISTINCT = 5  # different values beside it, where it is no usual mark; assumption
WIDEST = 512  # columns of an array; wider ones are pictures or sparse; assumption
CLEAN = Remedy(title="audits.empty_marks", safety=Safety.ADVICE)


@audit("sentinel_values", faults=("data.missing",), cost=PASS)
def sentinel_values(material: Material) -> Iterator[Finding]:
    if len(material.train) < FEWEST:
        raise Inapplicable(f"{len(material.train)} rows are too few to call a value a mark")
    told: set[tuple[str, float]] = set()
    for view in sources(material):
        if len(view) < FEWEST:
            continue
        for name, column in _columns(material, view):
            for finding in _marks(view, name, column):
                mark = (name, finding.values["mark"])
                if mark not in told:
                    told.add(mark)
                    yield finding


def _columns(material: Material, view: View) -> Iterator[tuple[str, Array]]:
    for numbers in number_columns(material, view):
        if len(numbers.names) > WIDEST or numbers.values.dtype.kind == "b":
            continue
        if material.columns[numbers.key].kind not in ("date", "boolean"):
            for place in np.flatnonzero(numbers.changing):
                yield numbers.names[place], numbers.values[:, place].astype(np.float64)


def _marks(view: View, name: str, column: Array) -> Iterator[Finding]:
    present = np.sort(column[np.isfinite(column)])
    for mark, others in (_lowest(present), _highest(present)):
        held = len(present) - len(others)
        if held < HELD or len(others) < HELD:
            continue
        reach = float(others[-1] - others[0])
        gap = float(others[0] - mark if mark < others[0] else mark - others[-1])
        usual = mark in MARKS and (mark < 0 or mark >= LOWEST_MARK)
        distinct = len(np.unique(others[:: max(1, len(others) // 1000)]))
        far = gap / reach if reach else np.inf
        if usual and (far > NEAR) and (reach > 0 or abs(mark) >= LOWEST_MARK):
            sure = far > FAR
        elif far > FAR and reach > 0 and distinct >= DISTINCT and mark != 0:
            sure = True
        elif mark == 0 and _stands_apart(others, gap) and held < len(others):
            sure = False
        else:
            continue
        yield _told(view, name, column, mark, others, far, sure)


def _lowest(present: Array) -> tuple[float, Array]:
    return float(present[0]), present[np.searchsorted(present, present[0], "right") :]


def _highest(present: Array) -> tuple[float, Array]:
    return float(present[-1]), present[: np.searchsorted(present, present[-1], "left")]


def _stands_apart(others: Array, gap: float) -> bool:
    """Whether 0 lies 4 deviations below others that are many and thin out before they reach it."""
    low, middle = np.quantile(others, [0.01, 0.5])
    deviation = float(others.std())
    return bool(
        deviation > 0 and middle / deviation > ABOVE_ZERO and gap > low - others[0] and len(np.unique(others)) > 20
    )


def _told(view: View, name: str, column: Array, mark: float, others: Array, far: float, sure: bool) -> Finding:
    places = np.flatnonzero(column == mark)
    values = {
        "column": name,
        "part": view.part,
        "mark": mark,
        "count": len(places),
        "share": len(places) / len(column),
        "low": float(others[0]),
        "high": float(others[-1]),
    }
    return Finding(
        fault="data.missing",
        severity="warning" if sure and len(places) < MOSTLY * len(column) else "note",
        message="audits.sentinel" if mark else "audits.zero_apart",
        values=values,
        evidence=(
            Evidence(
                name="distance from the others over their range",
                value=min(far, 1e9),
                threshold=FAR,
                source="assumption",
            ),
            Evidence(name="rows", value=float(len(places)), threshold=float(HELD)),
        ),
        remedies=(CLEAN,),
        confidence=0.8 if sure else 0.5,
        subject={"columns": [name], "rows": view.rows[places].tolist()},
    )
