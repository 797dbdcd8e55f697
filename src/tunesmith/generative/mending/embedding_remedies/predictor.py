"""A predictor as a remedy."""

from collections.abc import Iterator

from tunesmith.generative.mending.embedding_remedies.catalogue import Desk, embedding_remedy
from tunesmith.generative.mending.offer import Offer
from tunesmith.records.check import Inapplicable


@embedding_remedy("predictor", likely=0.5, cost=1.0)  # the papers' own control, of those with a stop-gradient
def predictor(desk: Desk) -> Iterator[Offer]:
    """A small net between one view's projection and the other's, so that the two sides are not alike.

    Use: SimSiam and BYOL without it.
    Source: Chen & He, arXiv:2011.10566, section 4.2; Grill et al., arXiv:2006.07733, section 5.
    """
    if not desk.task.sided() or desk.task.predictor:
        raise Inapplicable("it is for simsiam and byol without one")
    yield Offer(change="a predictor", fields={"predictor": True})
