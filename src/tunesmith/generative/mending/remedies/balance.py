"""Balance of the players as a remedy: the discriminator learns faster, or slower."""

from collections.abc import Iterator

from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy

TIMES = 4.0  # arXiv:1706.08500 and 1805.08318 take factors of 1 to 4 between the players


@remedy("balance", likely=0.3, cost=1.0)  # assumption
def balance(board: Board) -> Iterator[Offer]:
    """The discriminator's rate four times, and a quarter, of what it is beside the generator's.

    Use: one player far ahead of the other; costs nothing.
    Source: Heusel et al., arXiv:1706.08500, section 2.
    """
    for rate, word in ((TIMES, "×"), (1 / TIMES, "/")):
        after = float(f"{board.gan.critic_rate * rate:.4g}")
        yield Offer(change=f"rate of the discriminator {word} {TIMES:g}", fields={"critic_rate": after})
