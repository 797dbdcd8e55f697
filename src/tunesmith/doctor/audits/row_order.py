"""row_order: rows that stand in the order of their target.

Sees      neighbouring rows whose targets match, or lie near each other, more often than in a chance order: by runs for classes,
          by von Neumann's ratio of the ranks for numbers.
Matters   batches of one class each pull the model to and fro, and a part cut off the end holds what the others lack.
Remedies  shuffle every epoch (data.sampler = shuffle), and draw the parts at random or by class.
Limits    a note where the rows are shuffled: the order does no harm then. Rows ordered in time follow each other by nature.
Source    Mood 1940, Bartels 1982 (sortedness.py); share and p: assumption.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.sortedness import sortedness
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

FEWEST = 30  # rows; assumption
STRONG = 0.25  # of the way from chance to sorted; assumption
CHANCE = 1e-6  # p; assumption
COLUMNS = 8  # of a target of several numbers that are looked at
SHUFFLE = Remedy(title="audits.shuffle", safety=Safety.RISKY, change={"data.sampler": "shuffle"})


@audit("row_order", faults=("data.unshuffled",), cost=CHEAP)
def row_order(material: Material) -> Iterator[Finding]:
    material.need_target()
    views = [material.train, *(view for view in material.others if view.planned)]
    order = np.argsort(np.concatenate([view.rows for view in views]), kind="stable")
    if len(order) < FEWEST or material.kind == "language":
        raise Inapplicable("the rows have no target that an order could carry")
    codes = _joined([view.codes for view in views], order) if material.classed else None
    target = _joined([view.target for view in views], order)
    assert target is not None
    columns = [codes] if codes is not None else list(target.reshape(len(target), -1).T[:COLUMNS])
    found = [sortedness(column) for column in columns]
    strength, chance = max(found, default=(0.0, 1.0))
    material.measured["sortedness"] = strength
    if strength < STRONG or chance > CHANCE:
        return
    fed_so = material.recipe.data.sampler == "sequential" and not material.as_is
    blocks = codes is not None and int((codes[1:] != codes[:-1]).sum()) < 2 * len(material.classes)
    yield Finding(
        fault="data.unshuffled",
        severity="warning" if fed_so else "note",
        message="audits.sorted_blocks" if blocks else "audits.sorted_rows",
        values={"strength": strength, "count": len(order)},
        evidence=(
            Evidence(
                name="order of the target (0 chance, 1 sorted)", value=strength, threshold=STRONG, source="assumption"
            ),
            Evidence(name="p of such an order", value=chance, threshold=CHANCE),
        ),
        remedies=(SHUFFLE,) if fed_so else (),
        confidence=0.9,
        status="confirmed" if fed_so else "suspected",
    )


def _joined(values: Sequence[Array | None], order: Array) -> Array | None:
    """The rows of all parts in the order of the source."""
    known = [value for value in values if value is not None]
    return np.concatenate(known)[order] if len(known) == len(values) else None
