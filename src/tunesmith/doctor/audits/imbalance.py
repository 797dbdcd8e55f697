"""imbalance: classes that are far apart in size, or too small to be learnt or judged.

Sees      the largest class over the smallest above 10, the entropy of the labels over that of even classes; classes with
          one training row or none; two classes of which one has fewer than 10 rows.
Matters   a model that always says the commonest class scores well and learns nothing of the others; few rows of a class can
          neither be learnt nor judged.
Remedies  weigh the classes in the loss, draw balanced batches (risky: it moves the probabilities), choose a metric that sees
          every class.
Limits    a note: rare classes are no fault by themselves. Silent about sizes where the recipe weighs the classes or balances the
          batches.
Source    ratio 10: Amazon SageMaker Debugger; entropy 0.5: Ben Braiek & Khomh, TheDeepChecker, TOSEM 2023.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.data.odd import IMBALANCE, WEIGH, class_shares
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.records import Evidence, Finding, Recipe
from tunesmith.records.check import CHEAP, Inapplicable

ENTROPY = 0.5  # of the labels over log C; TheDeepChecker
FEW = 10  # rows of the rarer of two classes; assumption: its recall is known to a tenth at best
BALANCED = ("balanced", "oversample", "sqrt")


@audit("imbalance", faults=("data.class_imbalance",), cost=CHEAP)
def imbalance(material: Material) -> Iterator[Finding]:
    counts = class_counts(material)
    present = counts[counts > 0]
    shares = present / present.sum()
    entropy = float(-(shares * np.log(shares)).sum() / np.log(max(len(counts), 2)))
    material.measured["class entropy"] = entropy
    material.measured["class counts"] = {
        str(one): int(count) for one, count in zip(material.classes, counts, strict=True)
    }
    balanced = _balanced(material.recipe)
    seen = Evidence(name="entropy over log C", value=entropy, threshold=ENTROPY, source="TheDeepChecker")
    for finding in class_shares(counts, material.classes):
        if finding.message != "data.class_imbalance":
            yield finding
        elif not balanced:
            yield replace(finding, evidence=(*finding.evidence, seen), subject=_sizes(material, counts))
    if len(present) == 2 and present.min() < FEW and present.max() > IMBALANCE * present.min():
        rare = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))
        values = {"rare": str(material.classes[rare]), "least": int(present.min()), "most": int(present.max())}
        yield Finding(
            fault="data.class_imbalance",
            severity="warning",
            message="audits.too_few_of_class",
            values=values,
            evidence=(Evidence(name="rows of the rarer class", value=float(present.min()), threshold=float(FEW)), seen),
            remedies=(WEIGH,),
            confidence=0.9,
            status="confirmed",
            subject={"rows": material.train.rows[_places(material, rare)].tolist(), "classes": [values["rare"]]},
        )


def class_counts(material: Material) -> Array:
    """Training rows of each class. Raises `Inapplicable` where rows have no class."""
    material.need_target("binary", "multiclass")
    codes = material.train.codes
    if codes is None or not len(material.classes) or not (codes >= 0).any():
        raise Inapplicable("the labels are no classes that could be counted")
    return np.bincount(codes[codes >= 0], minlength=len(material.classes))


def _balanced(recipe: Recipe) -> bool:
    return recipe.loss.class_weights != "none" or recipe.data.sampler in BALANCED


def _sizes(material: Material, counts: Array) -> dict[str, Any]:
    order = np.argsort(counts, kind="stable")
    return {"classes": [str(material.classes[place]) for place in order], "scores": counts[order].tolist()}


def _places(material: Material, code: int) -> Array:
    assert material.train.codes is not None
    return np.flatnonzero(material.train.codes == code)
