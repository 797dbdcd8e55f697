"""Unrolled steps as a remedy."""

from collections.abc import Iterator

from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy
from tunesmith.records.check import Inapplicable

STEPS = 5  # arXiv:1611.02163: 5 or 10
STEPPED = ("adam", "sgd")


@remedy("unrolled", likely=0.8, cost=9.0)  # all five collapsed runs of benchmarks/gan_cures.md
def unrolled(board: Board) -> Iterator[Offer]:
    """The generator is judged by the discriminator as it will be five of its steps later.

    Use: where packing is not possible or does not help; an update takes eight times as long.
    Source: Metz et al., arXiv:1611.02163; `tunesmith explain cure.unrolled`.
    """
    if board.gan.unroll:
        raise Inapplicable(f"it looks {board.gan.unroll} steps ahead already")
    if board.recipe.optim.name not in STEPPED:
        raise Inapplicable(
            f"steps of {board.recipe.optim.name} cannot be unrolled; those of {' and '.join(STEPPED)} can"
        )
    yield Offer(change=f"{STEPS} steps of the discriminator looked ahead", fields={"unroll": STEPS})
