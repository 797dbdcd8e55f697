"""A larger batch as a remedy of a game."""

from collections.abc import Iterator

from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy
from tunesmith.records.check import Inapplicable

TIMES = 4  # assumption


@remedy("larger_batch", likely=0.2, cost=3.0)  # assumption
def larger_batch(board: Board) -> Iterator[Offer]:
    """Four times as many samples of either kind at each step, so that the discriminator sees more of the modes at once.

    Use: small batches; of a discriminator that judges each sample alone it lowers noise, and nothing else.
    Source: Brock et al., arXiv:1809.11096, section 3.1.
    """
    if TIMES * board.batch > board.rows:
        raise Inapplicable(f"{TIMES} × {board.batch} samples are more than the {board.rows} rows")
    yield Offer(change=f"batch × {TIMES}", recipe={"train.batch_size": TIMES * board.batch})
