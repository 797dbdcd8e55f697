"""Batch norm in the projector as a remedy."""

from collections.abc import Iterator

from tunesmith.generative.mending.embedding_remedies.catalogue import Desk, embedding_remedy
from tunesmith.generative.mending.offer import Offer
from tunesmith.records.check import Inapplicable


@embedding_remedy("batch_norm", likely=0.3, cost=1.0)  # assumption
def batch_norm(desk: Desk) -> Iterator[Offer]:
    """Batch norm behind every layer of the projector, and in the predictor.

    It keeps each dimension's spread, and hides from it that dimensions become alike: the rank has to say so.

    Use: SimSiam without it.
    Source: Chen & He, arXiv:2011.10566, section 4.4.
    """
    if not desk.task.width:
        raise Inapplicable("it has no projector (width = 0)")
    if desk.task.norm == "all":
        raise Inapplicable("its projector has it behind every layer")
    yield Offer(change="batch norm in the projector", fields={"norm": "all"})
