"""Negatives as a remedy: the other rows of a batch are pushed away."""

from collections.abc import Iterator

from tunesmith.generative.mending.embedding_remedies.catalogue import Desk, embedding_remedy
from tunesmith.generative.mending.offer import Offer
from tunesmith.records.check import Inapplicable


@embedding_remedy("negatives", likely=0.7, cost=1.2)  # assumption
def negatives(desk: Desk) -> Iterator[Offer]:
    """The rule becomes InfoNCE, which costs ln N of N rows that are all one.

    Use: any rule of agreement alone; large batches.
    Source: van den Oord et al., arXiv:1807.03748, eq. 4; `tunesmith explain cure.info_nce`.
    """
    if desk.task.rule == "info_nce":
        raise Inapplicable("its rule has negatives already")
    yield Offer(
        change="negatives (InfoNCE)",
        fields={"rule": "info_nce", "settings": {}, "blind": (), "stop_gradient": True},
    )
