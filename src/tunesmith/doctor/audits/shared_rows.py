"""shared_rows: the same inputs in the rows that train and in those that judge.

Sees      rows of the validation and test data that equal a training row in every feature, with the row they equal.
Matters   what was learnt by heart is scored as if it were understood: the score is too good.
Remedies  take these rows out of one of the parts; where the recipe divides the rows, keep equal ones together
          (`data.keep_duplicates_together`).
Limits    equal rows of a table of few columns come about by coincidence: as many as that explains are only told of.
          Copies that differ a little: `near_duplicates`.
Source    equal_rows.py; deepchecks warns above a tenth of the test rows (faults.md).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.duplicates import EXPLAINED, NAMED, TOGETHER
from tunesmith.doctor.audits.equal_rows import coincidences, column_keys
from tunesmith.doctor.audits.material import Material, View
from tunesmith.records import Evidence, Finding, Remedy, Safety, Severity
from tunesmith.records.check import PASS

SOME, MUCH = 0.01, 0.25  # shares of the judged rows: a warning, an error; assumption, deepchecks warns at 0.1
FEW = 5  # rows below which nothing is more than a note; assumption
REMOVE = Remedy(title="audits.shared_rows.remove", safety=Safety.ADVICE)


@audit("shared_rows", faults=("data.leakage",), cost=PASS)
def shared_rows(material: Material) -> Iterator[Finding]:
    for view in material.need_others():
        if len(view):
            yield from _shared(material, view)


def _shared(material: Material, view: View) -> Iterator[Finding]:
    train = material.train
    mine, judged = column_keys(material, [train, view])
    values, first = np.unique(mine.whole, return_index=True)
    place = np.minimum(np.searchsorted(values, judged.whole), len(values) - 1)
    rows = np.flatnonzero(values[place] == judged.whole)
    material.measured[f"shared_rows.{view.part}"] = len(rows)
    if not len(rows):
        return
    pairs = float(np.unique(mine.whole, return_counts=True)[1][place[rows]].sum())
    expected = coincidences(mine, judged)
    copies = expected < EXPLAINED * pairs
    share = len(rows) / len(view)
    yield Finding(
        fault="data.leakage",
        severity=severity_of(share, len(rows), copies, view.planned),
        message="audits.shared_rows.copies" if copies else "audits.shared_rows.by_nature",
        values={
            "count": len(rows),
            "rows": len(view),
            "share": share,
            "part": view.part,
            "expected": expected,
            "pairs": int(pairs),
        },
        evidence=(
            Evidence(
                name=f"share of the {view.part} rows that are training rows",
                value=share,
                threshold=SOME,
                source="assumption",
            ),
            Evidence(name="equal pairs", value=pairs, threshold=expected, source="coincidence, equal_rows"),
        ),
        remedies=(_remedy(material, view),),
        confidence=1.0 - min(1.0, expected / pairs),
        status="confirmed" if copies else "suspected",
        subject=named(view, rows, train, first[place[rows]]),
    )


def severity_of(share: float, count: int, copies: bool, planned: bool) -> Severity:
    """A note, a warning, an error, by the share of the judged rows."""
    if not copies or share < SOME or count < FEW:
        return "note"
    return "error" if share >= MUCH and not planned else "warning"


def named(view: View, rows: Array, train: View, others: Array) -> dict[str, list[int] | str]:
    """The rows judged on, and beside each the training row that it equals."""
    return {
        "rows": view.rows[rows].tolist()[:NAMED],
        "training_rows": train.rows[others].tolist()[:NAMED],
        "part": view.part,
    }


def _remedy(material: Material, view: View) -> Remedy:
    return TOGETHER if view.planned and not material.recipe.data.keep_duplicates_together else REMOVE
