"""A variance term as a remedy: the deviation of each dimension is kept."""

from collections.abc import Iterator

from tunesmith.generative.mending.embedding_remedies.catalogue import Desk, embedding_remedy
from tunesmith.generative.mending.offer import Offer
from tunesmith.records.check import Inapplicable


@embedding_remedy("variance", likely=0.7, cost=1.2)  # assumption
def variance(desk: Desk) -> Iterator[Offer]:
    """The rule becomes VICReg: agreement, a deviation of 1 in each dimension, and no covariance between them.

    Use: any rule of agreement alone; embeddings that shrink.
    Source: Bardes et al., arXiv:2105.04906, eq. 1 to 6; `tunesmith explain cure.vicreg`.
    """
    if desk.task.rule == "vicreg":
        raise Inapplicable("its rule has a variance term already")
    yield Offer(
        change="a variance term (VICReg)",
        fields={"rule": "vicreg", "settings": {}, "blind": (), "stop_gradient": True},
    )
