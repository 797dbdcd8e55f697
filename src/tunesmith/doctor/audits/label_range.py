"""label_range: labels that are no index of a class, and targets of yes-or-no losses outside 0 to 1.

Sees      whole numbers that go to the loss as they are: below 0 (-100 is what torch leaves out, -1 a common mark for it), or at and
          above the width of the output; targets of two or many yes-or-no labels outside 0 to 1.
Matters   an index outside its table ends the run: an IndexError on a CPU, an assert of the device on CUDA, which names no row.
          A binary loss takes it in silence and falls without a floor.
Remedies  number the classes 0 … C - 1, or widen the output; give ignore_index to the loss (advice).
Limits    without a known width of the output a label cannot be too high, and whole numbers below 0 may be numbers to
          predict: a step less grave then. Labels 1 … C are told of by label_start.
Source    torch.nn.CrossEntropyLoss, torch.nn.BCELoss: ranges of the target.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.label_numbers import IGNORED, Labels, from_one, index_labels, signs
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import few, parted, placed, subject_at
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

RENUMBER = Remedy(title="audits.renumber", safety=Safety.ADVICE)
IGNORE = Remedy(title="audits.ignore_index", safety=Safety.ADVICE)
UNIT = Remedy(title="audits.unit_targets", safety=Safety.ADVICE)


@audit("label_range", faults=("data.label_out_of_range",), cost=CHEAP)
def label_range(material: Material) -> Iterator[Finding]:
    material.need_target("binary", "multiclass", "multilabel", "language")
    if not material.as_is:
        raise Inapplicable("the classes are numbered by the training itself")
    for view in parted(material):
        labels = index_labels(material, view)
        if labels is not None:
            yield from _indices(material, view, labels)
        elif view.target is not None and view.target.dtype.kind in "fiu":
            yield from _yes_or_no(material, view, view.target)


def _indices(material: Material, view: View, labels: Labels) -> Iterator[Finding]:
    width = material.outputs
    if signs(labels) and (material.kind == "binary" or width in (None, 1)):
        yield _told(material, view, "note", "audits.sign_labels", labels, labels.values < 0, UNIT)
        return
    sure = width is not None or material.kind == "language"  # else whole numbers may be meant as numbers
    negative = labels.values < 0
    mark = negative & np.isin(labels.values, (IGNORED, -1))
    if (labels.values == IGNORED).any() and material.kind != "language":
        yield _told(material, view, "note", "audits.ignored_labels", labels, labels.values == IGNORED, IGNORE)
    if (labels.values == -1).any():
        yield _told(
            material, view, "warning" if sure else "note", "audits.minus_one", labels, labels.values == -1, IGNORE
        )
    if (negative & ~mark).any():
        yield _told(
            material, view, "error" if sure else "warning", "audits.negative_labels", labels, negative & ~mark, RENUMBER
        )
    start = from_one(material)
    if width is None and material.kind == "binary" and start is None:
        width = 2
    if width is None or start == width:
        return
    beyond = labels.values >= max(width, 2)
    if beyond.any():
        told = material.outputs is not None or len(labels.values) > 2  # two numbers may merely look like two classes
        yield _told(material, view, "error" if told else "warning", "audits.labels_beyond", labels, beyond, RENUMBER)


def _told(
    material: Material, view: View, severity: Severity, message: str, labels: Labels, wrong: Array, remedy: Remedy
) -> Finding:
    assert view.target is not None
    bad = np.isin(view.target, labels.values[wrong])
    places = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
    width = material.outputs or (2 if material.kind == "binary" else None)
    values: dict[str, Any] = {
        "part": view.part,
        "labels": few(labels.values[wrong].tolist()),
        "count": int(labels.counts[wrong].sum()),
        "rows": len(places),
        "place": placed(material, view, places),
        "width": width or 0,
        "low": labels.low,
        "high": labels.high,
    }
    ends = [Evidence(name="smallest label", value=float(labels.low), threshold=0.0, where=view.part)]
    high = Evidence(
        name="largest label",
        value=float(labels.high),
        threshold=None if width is None else width - 1.0,
        where=view.part,
    )
    return Finding(
        fault="data.label_out_of_range",
        severity=severity,
        message=message,
        values=values,
        evidence=(*ends, high),
        remedies=(remedy,),
        status="confirmed" if severity != "warning" else "suspected",
        confidence=1.0 if severity != "warning" else 0.7,
        subject={**subject_at(view, places), "labels": labels.values[wrong].tolist()},
    )


def _yes_or_no(material: Material, view: View, target: Array) -> Iterator[Finding]:
    """Truth values and soft labels as numbers: 0 to 1."""
    if material.kind not in ("binary", "multilabel"):
        return
    present = target[np.isfinite(target)]
    if not present.size or (
        set(np.unique(present[:1000]).tolist()) <= {-1.0, 1.0} and bool(np.isin(present, (-1, 1)).all())
    ):
        return
    wrong = (target < 0) | (target > 1)
    places = np.flatnonzero(wrong.reshape(len(wrong), -1).any(1))
    if not len(places):
        return
    values: dict[str, Any] = {
        "part": view.part,
        "rows": len(places),
        "low": float(present.min()),
        "high": float(present.max()),
        "place": placed(material, view, places),
    }
    yield Finding(
        fault="data.label_out_of_range",
        severity="error" if len(np.unique(present)) > 2 else "warning",  # two numbers may merely look like two classes
        message="audits.beyond_unit",
        values=values,
        evidence=(
            Evidence(name="smallest target", value=values["low"], threshold=0.0, where=view.part),
            Evidence(name="largest target", value=values["high"], threshold=1.0, where=view.part),
        ),
        remedies=(UNIT,),
        status="confirmed",
        subject=subject_at(view, places),
    )
