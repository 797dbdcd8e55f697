"""label_floats: labels of classes held as floats, which a loss reads as numbers or refuses.

Sees      one float a row for more than two classes, in arrays that go to the user's own loss.
Matters   a loss over classes takes indices as whole numbers: of floats it raises, or reads them as probabilities.
Remedies  turn the labels into int64 (advice).
Limits    a note where the output's width is not known, for the numbers may be meant as numbers. Floats of 0 and 1 are what binary
          losses want.
Source    torch.nn.CrossEntropyLoss: types of the target.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import few
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

WHOLE = Remedy(title="audits.whole_labels", safety=Safety.ADVICE)


@audit("label_floats", faults=("loss.mismatch",), cost=CHEAP)
def label_floats(material: Material) -> Iterator[Finding]:
    target = material.need_target("multiclass")
    if not material.as_is or target.dtype.kind != "f" or target.ndim != 1:
        raise Inapplicable("the labels are no floats that a loss takes as they are")
    values = np.unique(target[np.isfinite(target)])
    if len(values) < 2:
        raise Inapplicable("the labels never change")
    broken = values[values != np.floor(values)]
    yield Finding(
        fault="loss.mismatch",
        severity="warning" if material.outputs is not None and material.outputs > 2 else "note",
        message="audits.float_labels",
        values={"type": target.dtype.name, "count": len(values), "labels": few(f"{value:g}" for value in values)},
        evidence=(Evidence(name="labels that are not whole", value=float(len(broken)), threshold=0.0),),
        remedies=(WHOLE,),
        confidence=0.8,
    )
