"""The Wasserstein game with gradient penalty as a remedy."""

from collections.abc import Iterator

from torch import nn

from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy
from tunesmith.records.check import Inapplicable

STEPS = 5  # of the critic; arXiv:1704.00028, algorithm 1
ADAM = {"optim.name": "adam", "optim.lr": 1e-4, "optim.beta1": 0.0, "optim.beta2": 0.9}  # the same
MIXES = (nn.modules.batchnorm._BatchNorm,)


@remedy("gradient_penalty", likely=0.5, cost=6.0)  # benchmarks/gan_cures.md: slow on the ring, whole on the grid
def gradient_penalty(board: Board) -> Iterator[Offer]:
    """Wasserstein losses, the norm of the critic's gradient kept near 1, five steps of it for each of the generator's, Adam(1e-4; 0, .9).

    Not possible where the discriminator has batch norm: the penalty is taken of each sample alone.

    Use: where packing does not help; an update takes several times as long, and more of them are wanted.
    Source: Gulrajani et al., arXiv:1704.00028, algorithm 1; `tunesmith explain cure.gradient_penalty`.
    """
    if board.gan.penalty is not None:
        raise Inapplicable("it has a penalty already")
    if any(isinstance(one, MIXES) for one in board.judge.modules()):
        raise Inapplicable(
            "its discriminator has batch norm, which mixes samples; a layer norm in its place would allow it"
        )
    fields = {"game": "wasserstein", "penalty": "gradient_penalty", "critic_steps": STEPS}
    fields |= {"critic_rate": 1.0, "clip_weights": None}
    yield Offer(change="Wasserstein losses with gradient penalty", fields=fields, recipe=ADAM)
