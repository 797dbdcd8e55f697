"""Identity, for layers that start as a copy of their input. Le, Jaitly & Hinton, arXiv:1504.00941."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import by_group, middle_of


@DEVIATIONS.add("identity")
def deviation(weight: Tensor, activation: str = "identity", groups: int = 1) -> float:
    """√(p - p²), p the share of ones."""
    share = min(weight.shape[0] // groups, weight.shape[1]) / (weight.shape[0] // groups * fans(weight)[0])
    return math.sqrt(share - share**2)


@INITS.add("identity")
def identity(
    weight: Tensor, activation: str = "identity", *, groups: int = 1, generator: Generator | None = None
) -> None:
    """W[i, i, middle] = 1 and W = 0 elsewhere, in each group; nothing is drawn.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1504.00941, section 3, for recurrent ReLU layers; convolutions: Zagoruyko & Komodakis, arXiv:1706.00388.
    Use: recurrent or square layers; a layer with more outputs than inputs has rows of zeros.
    """
    fans(weight)

    def fill(part: Tensor) -> None:
        part.zero_()
        middle = middle_of(part)
        middle.fill_diagonal_(1.0)

    by_group(weight, groups, fill)
