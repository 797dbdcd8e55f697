"""target_constant: a target that never changes, or hardly.

Sees      one value in all rows of a part; one number in 9 of 10 rows of a numeric target.
Matters   there is nothing to learn; where nearly all rows hold one number, a model that always says it looks excellent.
Remedies  name the right column, or mend the step that made it; of many equal numbers first tell whether, then how much (advice).
Limits    an array of equal targets may be a dummy beside a loss that needs none: a warning there, an error where a training refuses it.
Source    one distinct value is the definition of the fault; 9 of 10: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import parted
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP

FEWEST = 10  # rows; assumption
MOST = 0.9  # share of one number; assumption
WIDE = (
    32  # columns of a target from which on it is a whole (a picture, a spectrum), not a list of questions; assumption
)
NAME = Remedy(title="audits.right_target", safety=Safety.ADVICE)
TWO_STEPS = Remedy(title="audits.two_steps", safety=Safety.ADVICE)


@audit("target_constant", faults=("data.constant",), cost=CHEAP)
def target_constant(material: Material) -> Iterator[Finding]:
    material.need_target()
    for view in parted(material):
        if view.target is None or len(view) < FEWEST:
            continue
        columns = view.target.reshape(len(view), -1)
        names = (
            list(material.targets)
            if len(material.targets) == columns.shape[1]
            else [f"y{n}" for n in range(columns.shape[1])]
        )
        if columns.shape[1] > WIDE:
            yield from _whole(material, view, columns)
            continue
        for name, column in zip(names, columns.T, strict=True):
            yield from _column(material, view, name if columns.shape[1] > 1 else few_name(material), column)


def _whole(material: Material, view: View, columns: Array) -> Iterator[Finding]:
    """A wide target is constant where all of it is: single pixels may well be."""
    first = columns[:1]
    if columns.dtype != object and bool((columns == first).all()):
        yield _constant(material, view, f"all {columns.shape[1]} columns", "the same row")


def few_name(material: Material) -> str:
    return material.targets[0] if material.targets else "y"


def _column(material: Material, view: View, name: str, column: Array) -> Iterator[Finding]:
    if column.dtype == object:
        words = {value for value in column.tolist() if value is not None and value == value}
        if len(words) == 1:
            yield _constant(material, view, name, repr(next(iter(words))))
        return
    present = column[np.isfinite(column)] if column.dtype.kind == "f" else column
    if not len(present):
        return
    values, counts = np.unique(present, return_counts=True)
    if len(values) == 1:
        yield _constant(material, view, name, f"{values[0]:g}")
        return
    share = float(counts.max() / len(present))
    if material.kind in ("regression", "multi_regression") and share > MOST and view.part == "train":
        yield Finding(
            fault="data.constant",
            severity="note",
            message="audits.nearly_constant_target",
            values={"name": name, "value": float(values[counts.argmax()]), "share": share},
            evidence=(Evidence(name="share of one number", value=share, threshold=MOST, source="assumption"),),
            remedies=(TWO_STEPS,),
            status="confirmed",
            subject={"columns": [name]},
        )


def _constant(material: Material, view: View, name: str, value: str) -> Finding:
    train = view.part == "train"
    several = len(material.targets) > 1 or material.kind in ("multilabel", "multi_regression")
    return Finding(
        fault="data.constant",
        severity="error" if train and not material.as_is and not several else "warning",
        message="audits.constant_target",
        values={"name": name, "value": value, "part": view.part, "count": len(view)},
        evidence=(Evidence(name="distinct targets", value=1.0, threshold=2.0, where=view.part),),
        remedies=(NAME,),
        status="confirmed",
        subject={"columns": [name]},
    )
