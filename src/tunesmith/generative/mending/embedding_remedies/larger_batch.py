"""A larger batch as a remedy of embeddings."""

from collections.abc import Iterator

from tunesmith.generative.mending.embedding_remedies.catalogue import Desk, embedding_remedy
from tunesmith.generative.mending.offer import Offer
from tunesmith.records.check import Inapplicable

TIMES = 4  # assumption


@embedding_remedy("larger_batch", likely=0.2, cost=3.0)  # assumption
def larger_batch(desk: Desk) -> Iterator[Offer]:
    """Four times as many rows at each step: more negatives, steadier statistics.

    Use: InfoNCE and batch norm on small batches; a rule of agreement alone collapses at any size.
    Source: Chen et al., SimCLR, arXiv:2002.05709, section 5.2.
    """
    if TIMES * desk.batch > desk.rows:
        raise Inapplicable(f"{TIMES} × {desk.batch} rows are more than the {desk.rows} there are")
    yield Offer(change=f"batch × {TIMES}", recipe={"train.batch_size": TIMES * desk.batch})
