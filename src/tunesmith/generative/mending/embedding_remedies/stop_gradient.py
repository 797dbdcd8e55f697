"""The stop-gradient of SimSiam as a remedy."""

from collections.abc import Iterator

from tunesmith.generative.mending.embedding_remedies.catalogue import Desk, embedding_remedy
from tunesmith.generative.mending.offer import Offer
from tunesmith.records.check import Inapplicable


@embedding_remedy("stop_gradient", likely=0.9, cost=1.0)  # the paper's own control
def stop_gradient(desk: Desk) -> Iterator[Offer]:
    """What a prediction is to agree with gets no gradient; where there is no predictor, that comes with it in a second offer.

    Use: SimSiam without it, whose least loss is one embedding for all rows.
    Source: Chen & He, arXiv:2011.10566, section 4.1.
    """
    if desk.task.rule != "simsiam" or desk.task.stop_gradient:
        raise Inapplicable("it is for simsiam without it")
    yield Offer(change="stop-gradient on", fields={"stop_gradient": True})
    if not desk.task.predictor:
        yield Offer(change="stop-gradient on, with a predictor", fields={"stop_gradient": True, "predictor": True})
