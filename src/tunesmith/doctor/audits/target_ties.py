"""target_ties: numbers to predict that are cut at an end, or that are few and really levels.

Sees      the largest or the smallest number shared by many more rows than any number near it; a regression target of at most 20
          different whole numbers.
Matters   rows at a cap hold its value, not theirs: a model learns that nothing lies beyond, and its errors there mean nothing.
          Few levels are often better told as classes or in their order.
Remedies  leave the rows at the cap out of training and judging, or use a loss for censored rows (advice).
Limits    a heap at 0 may be true (no sale, no rain); the sentence leaves it open. Notes only.
Source    Tobin, Estimation of Relationships for Limited Dependent Variables, Econometrica 26 (1958); counts: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.target import FEW_VALUES
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import sources
from tunesmith.doctor.audits.target_constant import WIDE
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

FEWEST = 100  # rows; assumption
DISTINCT = 50  # different numbers of a target that is measured rather than counted; assumption
SHARE = 0.005  # of the rows at the end; assumption
HEAP = 5.0  # times the commonest number among the tenth of the rows next to it; assumption
CENSORED = Remedy(title="audits.censored", safety=Safety.ADVICE)
LEVELS = Remedy(title="audits.as_classes", safety=Safety.ADVICE)


@audit("target_ties", faults=("data.label_noise", "loss.mismatch"), cost=CHEAP)
def target_ties(material: Material) -> Iterator[Finding]:
    material.need_target("regression", "multi_regression")
    view = sources(material)[0]
    target = view.target
    assert target is not None
    if target.dtype.kind not in "fiu" or len(target) < FEWEST:
        raise Inapplicable("the target holds too few numbers")
    columns = target.reshape(len(target), -1)
    if columns.shape[1] > WIDE:
        raise Inapplicable(f"the target is one thing of {columns.shape[1]} numbers")
    names = (
        material.targets if len(material.targets) == columns.shape[1] else [f"y{n}" for n in range(columns.shape[1])]
    )
    for name, column in zip(names, columns.T, strict=True):
        values, counts = np.unique(column[np.isfinite(column)], return_counts=True)
        if len(values) < 2:
            continue
        if len(values) <= FEW_VALUES and bool((values == np.floor(values)).all()):
            yield _levels(name, values, counts)
        elif len(values) >= DISTINCT:
            yield from _heaps(view, name, column, values, counts)


def _levels(name: str, values: Array, counts: Array) -> Finding:
    told = {"name": name, "count": len(values), "low": float(values[0]), "high": float(values[-1])}
    return Finding(
        fault="loss.mismatch",
        severity="note",
        message="audits.few_numbers",
        values=told,
        evidence=(Evidence(name="different numbers", value=float(len(values)), threshold=float(FEW_VALUES)),),
        remedies=(LEVELS,),
        status="confirmed",
    )


def _heaps(view: View, name: str, column: Array, values: Array, counts: Array) -> Iterator[Finding]:
    total = int(counts.sum())
    for end, place, near in (("largest", -1, slice(-2, None, -1)), ("smallest", 0, slice(1, None))):
        beside = counts[near]
        count = int(counts[place])
        tenth = beside[: int(np.searchsorted(np.cumsum(beside), 0.1 * total)) + 1]
        if count < max(10, SHARE * total) or count < HEAP * tenth.max():
            continue
        value = float(values[place])
        rows = view.rows[column == values[place]]
        told = {"name": name, "value": value, "count": count, "share": count / total, "next": int(tenth.max())}
        yield Finding(
            fault="data.label_noise",
            severity="note",
            message=f"audits.heap_{end}",
            values=told,
            evidence=(
                Evidence(
                    name="rows at the end over the commonest number near it",
                    value=count / float(tenth.max()),
                    threshold=HEAP,
                    source="assumption",
                ),
            ),
            remedies=(CENSORED,),
            confidence=0.7,
            subject={"rows": rows.tolist()},
        )
