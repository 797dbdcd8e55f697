"""unseen_classes: classes of the validation or test rows that no training row has.

Sees      labels of a given part that are no label of the training rows.
Matters   the model cannot name what it never saw: a training refuses such rows, and a loss of one's own meets an index that its
          output may not have.
Remedies  divide the rows so that each class lies in every part, or leave those rows out (advice).
Limits    classes that the recipe's own division leaves without training rows are told of by imbalance; other spellings of a
          known label by label_spelling.
Source    set difference of the labels.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import placed, quoted, subject_at
from tunesmith.doctor.audits.spelling import bare
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP

DIVIDE = Remedy(title="audits.divide_by_class", safety=Safety.ADVICE)


@audit("unseen_classes", faults=("data.label_out_of_range",), cost=CHEAP)
def unseen_classes(material: Material) -> Iterator[Finding]:
    target = material.need_target("binary", "multiclass")
    known = set(target.reshape(-1).tolist())
    spelt = {bare(label) for label in known} if target.dtype == object else set()
    for view in material.need_others():
        if view.planned or view.target is None or view.target.ndim != 1:
            continue
        labels = view.target.tolist()
        strange = Counter(one for one in labels if one not in known and one is not None and one == one)
        strange = Counter({one: count for one, count in strange.items() if bare(one) not in spelt})
        if material.as_is:
            strange = Counter({one: count for one, count in strange.items() if isinstance(one, str) or one >= 0})
        if strange:
            places = np.flatnonzero(np.fromiter((one in strange for one in labels), bool, len(labels)))
            values = {
                "part": view.part,
                "count": strange.total(),
                "classes": len(strange),
                "labels": quoted(strange),
                "place": placed(material, view, places),
            }
            yield Finding(
                fault="data.label_out_of_range",
                severity="warning" if material.as_is else "error",
                message="audits.unseen_classes",
                values=values,
                evidence=(
                    Evidence(
                        name="rows of unknown classes", value=float(strange.total()), threshold=0.0, where=view.part
                    ),
                ),
                remedies=(DIVIDE,),
                status="confirmed",
                subject={**subject_at(view, places), "labels": [str(one) for one in strange]},
            )
