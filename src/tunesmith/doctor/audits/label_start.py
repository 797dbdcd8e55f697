"""label_start: classes numbered 1 … C where a loss counts from 0.

Sees      whole-number labels of all parts between 1 and C, each of them there and 0 nowhere.
Matters   an output of width C has no class C: an IndexError, or an assert of the device. An output of width C + 1 carries a class
          that never comes.
Remedies  subtract 1 from the labels (advice).
Limits    files and arrays for built-in models are numbered anew by the training: a note there, as where the width of the output
          is not known.
Source    torch.nn.CrossEntropyLoss: class indices in [0, C).
"""

from collections.abc import Iterator

from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.label_numbers import from_one
from tunesmith.doctor.audits.material import Material
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP
from tunesmith.records.finding import Severity

SUBTRACT = Remedy(title="audits.subtract_one", safety=Safety.ADVICE)


@audit("label_start", faults=("data.label_out_of_range",), cost=CHEAP)
def label_start(material: Material) -> Iterator[Finding]:
    target = material.need_target("binary", "multiclass")
    top = from_one(material)
    if top is None:
        if (
            not material.as_is
            and target.dtype.kind in "iuf"
            and material.classes == tuple(range(1, len(material.classes) + 1))
        ):
            yield _told(len(material.classes), "note", "audits.labels_numbered_anew", 1.0)
        return
    width = material.outputs
    if width == top:
        yield _told(top, "error", "audits.labels_from_one", 1.0)
    elif width is None:
        yield _told(
            top, "note", "audits.labels_from_one_unknown", 0.6
        )  # they may be ratings, to be predicted as numbers
    elif width > top:
        yield _told(top, "note", "audits.no_class_zero", 1.0)


def _told(top: int, severity: Severity, message: str, confidence: float) -> Finding:
    return Finding(
        fault="data.label_out_of_range",
        severity=severity,
        message=message,
        values={"top": top, "last": top - 1},
        evidence=(
            Evidence(name="smallest label", value=1.0, threshold=0.0),
            Evidence(name="largest label", value=float(top), threshold=top - 1.0),
        ),
        remedies=(SUBTRACT,) if severity == "error" or confidence < 1 else (),
        confidence=confidence,
        status="suspected" if confidence < 1 else "confirmed",
        subject={"labels": list(range(1, top + 1))},
    )
