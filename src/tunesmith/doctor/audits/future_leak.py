"""future_leak: rows of a later time help to foretell rows of an earlier one, or a column holds the target of a later row.

Sees      1. columns that hold the target of a later row, exactly or with little noise, and of no earlier one. 2. data in the order of time (a
          column named for it, one column of dates, a counter of rows), parts that are mixed in time, and a fast model that is
          clearly worse on blocks of time it never saw than on rows drawn at random. 3. arrays of series whose rows overlap as
          windows, with windows of the same values in two parts.
Matters   the validation score is that of filling gaps, not of foretelling.
Remedies  name the column of time, so that the latest rows are set aside (--time COL, data.split = "time").
Limits    2. compares scores, so it is silent where the order of time tells nothing. 3. finds windows as they came, not windows scaled one by one.
Source    Kaufman et al., Leakage in Data Mining, ACM TKDD 6 (2012); blocks of time: Roberts et al., Ecography 40 (2017).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.future_lags import lags_of
from tunesmith.doctor.audits.future_windows import overlapping
from tunesmith.doctor.audits.leakage_copy import copied
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, goals_of, inputs_of, some_rows
from tunesmith.doctor.audits.leakage_rest import drop
from tunesmith.doctor.audits.leakage_sum import summed
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_splits import Compared, compared
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

LOOK = 6000  # rows of a fast model; assumption
FEWEST = 300  # rows; assumption
BLOCKS = 20  # of time, dealt to three folds; assumption
MIXED = 0.5  # share of judged rows that lie before the last training row: parts mixed in time; assumption
GAIN = (
    0.01  # of power that is told by rows drawn at random more than by others, beside three standard errors; assumption
)
TIMES = 1.25  # how many times more blocks leave untold; assumption
OVERLAP = 0.2  # share of judged windows that lie in training windows; assumption
WIDEST = 300  # inputs that are shifted against the target; assumption


@audit("future_leak", faults=("data.leakage",), cost=PASS)
def future_leak(material: Material) -> Iterator[Finding]:
    yield from _windows(material)
    goals = goals_of(material)
    if len(goals) > 1:
        return
    goal, inputs = goals[0], inputs_of(material)
    later = {name: lag for name, lag in lags_of(material, goal, _shiftable(inputs)).items() if lag > 0}
    for name, lag in later.items():
        yield _holds_later(goal, name, lag)
    if len(goal.values) >= FEWEST and material.others:
        copies = copied(material) | summed(material) | set(later)
        yield from _mixed(material, goal, [one for one in inputs if one.name not in copies])


def _shiftable(inputs: list[Input]) -> list[Input]:
    numbers = [one for one in inputs if len(one.levels) <= 2]
    return numbers if len(numbers) <= WIDEST else []


def _holds_later(goal: Goal, name: str, lag: int) -> Finding:
    return Finding(
        fault="data.leakage",
        severity="error",
        message="leakage.later_target",
        values={"column": name, "target": goal.name, "lag": lag},
        evidence=(Evidence(name="rows later", value=float(lag), threshold=0.0, where=name),),
        remedies=(drop([name]),),
        confidence=0.9,
        status="confirmed",
        subject={"columns": [name]},
    )


def _times(material: Material) -> tuple[str, str] | None:
    """The column that orders the rows in time, and how a user names it: role, dates, or a counter of rows."""
    if "time" in material.roles:
        return material.roles["time"], "time"
    dates = [name for name, column in material.columns.items() if column.kind == "date"]
    if len(dates) == 1:
        return dates[0], "date"
    if len(dates) > 1:
        return None
    for name in (*material.words("identifier"), *material.numeric()):
        values = material.whole.table[name]
        if values.dtype.kind in "fiu" and len(values) > 1 and (np.diff(values) > 0).all():
            return name, "counter"
    return None


def _mixed(material: Material, goal: Goal, inputs: list[Input]) -> Iterator[Finding]:
    found = _times(material)
    if found is None or not inputs:
        return
    name, how = found
    last = np.nanmax(_ordered(material.train.table[name]))
    for view in material.others:
        if name not in view.table:
            continue
        before = float((_ordered(view.table[name]) < last).mean())
        if before < MIXED:
            return
    times = _ordered(material.whole.table[name])
    rows = some_rows(material, LOOK, "future_leak", ~np.isnan(goal.values) & ~np.isnan(times))
    if len(rows) < FEWEST or len(np.unique(times[rows])) < 2 * BLOCKS:
        return
    ranks = np.argsort(np.argsort(times[rows], kind="stable"), kind="stable")
    against = compared(material, goal, inputs, rows, ranks * BLOCKS // len(rows))
    material.measured["future_leak"] = {"random": against.random.power, "blocks": against.apart.power}
    if against.harms(GAIN, TIMES):
        yield _finding(material, goal, name, how, against)


def _ordered(values: Array) -> Array:
    return values.astype(np.float64) if values.dtype.kind in "fiub" else np.full(len(values), np.nan)


def _finding(material: Material, goal: Goal, name: str, how: str, against: Compared) -> Finding:
    values = {"column": name, "target": goal.name, "random": against.random.power, "blocks": against.apart.power}
    named = Remedy(
        title="leakage.name_time", safety=Safety.RISKY, change={"data.split": "time"}, values={"column": name}
    )
    return Finding(
        fault="data.leakage",
        severity="note" if how == "counter" else "warning",  # a counter may be no time at all
        message="leakage.future",
        values=values,
        evidence=(
            Evidence(name="power on rows drawn at random", value=against.random.power),
            Evidence(name="power on blocks of time", value=against.apart.power, threshold=against.random.power - GAIN),
        ),
        remedies=(named,),
        confidence=0.8,
        subject={"columns": [name]},
    )


def _windows(material: Material) -> Iterator[Finding]:
    if material.form != "arrays" or material.kind == "language":
        return
    for name, values in material.train.table.items():
        if values.dtype.kind != "f" or values.ndim not in (2, 3) or values.shape[1] < 8:
            continue
        for view in material.others:
            came = view.table.get(name)
            if came is None or came.shape[1:] != values.shape[1:]:
                continue
            hit, length = overlapping(values, came)
            share = float(hit.mean()) if len(hit) else 0.0
            if share > OVERLAP:
                yield Finding(
                    fault="data.leakage",
                    severity="warning",
                    message="leakage.windows",
                    values={"part": view.part, "count": int(hit.sum()), "share": share, "length": length},
                    evidence=(Evidence(name="share of windows", value=share, threshold=OVERLAP, where=view.part),),
                    remedies=(Remedy(title="leakage.split_series", safety=Safety.ADVICE),),
                    confidence=0.9,
                    status="confirmed",
                    subject={"part": view.part, "rows": view.rows[np.flatnonzero(hit)].tolist()},
                )
