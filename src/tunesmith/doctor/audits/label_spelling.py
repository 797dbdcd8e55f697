"""label_spelling: classes that differ only by case, by spaces or by a dot at the end.

Sees      labels of all parts that are one word once case, inner spaces and a final dot are taken away; 1 beside 1.0 too.
Matters   one class becomes two, or a part has classes that the training has not ('>50K.' beside '>50K'), and is refused.
Remedies  write each label in one way (advice).
Limits    single letters are left alone, for a and A are two classes to a reader of letters.
Source    Unicode Standard Annex 15 (NFKC) and section 3.13 (case folding).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import few, quoted, sources, subject_at
from tunesmith.doctor.audits.spelling import bare, is_letter
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

SPELL = Remedy(title="audits.one_spelling", safety=Safety.ADVICE)


@audit("label_spelling", faults=("data.mixed_types",), cost=CHEAP)
def label_spelling(material: Material) -> Iterator[Finding]:
    target = material.need_target("binary", "multiclass")
    if target.dtype != object or target.ndim != 1:
        raise Inapplicable("the labels are numbers")
    views = {view.part: view for view in sources(material)}
    counts = {part: _counts(view) for part, view in views.items()}
    whole: Counter[Any] = sum((one for one in counts.values()), Counter())
    alike = defaultdict(list)
    for label in whole:
        alike[bare(label)].append(label)
    for key, labels in alike.items():
        if len(labels) > 1 and not is_letter(key):
            yield _told(views, sorted(labels, key=lambda label: -whole[label]), counts)


def _counts(view: View) -> Counter[Any]:
    if view.target is None or view.target.ndim != 1:
        return Counter()
    return Counter(label for label in view.target.tolist() if label is not None and label == label)


def _told(views: dict[str, View], labels: list[Any], counts: dict[str, Counter[Any]]) -> Finding:
    """The commonest spelling first."""
    strange = [
        part
        for part in counts
        if part != "train" and any(counts[part][one] and not counts["train"][one] for one in labels)
    ]
    unknown = any(not views[part].planned for part in strange)
    severity: Severity = "error" if unknown else "warning"
    view = views[strange[0]] if unknown else views["train"]
    main = next((one for one in labels if counts["train"][one]), labels[0])
    assert view.target is not None
    places = np.flatnonzero(
        np.fromiter((label in labels and label != main for label in view.target.tolist()), bool, len(view))
    )
    values: dict[str, Any] = {
        "labels": quoted(labels),
        "count": sum(counts[view.part][one] for one in labels if one != main),
        "part": few(strange) if unknown else "train",
        "main": repr(main),
    }
    return Finding(
        fault="data.mixed_types",
        severity=severity,
        message="audits.label_spelling_part" if unknown else "audits.label_spelling",
        values=values,
        evidence=(
            Evidence(name="rows in another spelling", value=float(values["count"]), threshold=0.0, where=view.part),
        ),
        remedies=(SPELL,),
        confidence=0.9,
        status="confirmed",
        subject={**subject_at(view, places), "labels": [str(one) for one in labels]},
    )
