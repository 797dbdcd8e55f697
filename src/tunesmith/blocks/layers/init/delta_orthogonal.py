"""Orthogonal in the middle of the kernel, zero around it. Xiao et al., arXiv:1806.05393, algorithm 1."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import by_group, middle_of, orthonormal_
from tunesmith.blocks.layers.init.orthogonal import gain_of


@DEVIATIONS.add("delta_orthogonal")
def deviation(weight: Tensor, activation: str = "identity", groups: int = 1) -> float:
    """g / √(max(out, in) k), k the positions of the kernel; of one group."""
    positions = math.prod(weight.shape[2:])
    return gain_of(activation) / math.sqrt(max(weight.shape[0] // groups, weight.shape[1]) * positions)


@INITS.add("delta_orthogonal")
def delta_orthogonal(
    weight: Tensor, activation: str = "identity", *, groups: int = 1, generator: Generator | None = None
) -> None:
    """W[:, :, middle] = g Q, Q with orthonormal rows or columns, whichever are fewer, and W = 0 elsewhere.

    The convolution then keeps norms exactly where it has at least as many outputs as inputs (the paper asks for that)
    and its padding keeps the size. Without a kernel it is `orthogonal`; g is that one's.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1806.05393, algorithm 1 and section 3.
    Use: very deep convolutional nets without norm or skips; others learn faster with all of the kernel alive.
    """
    fans(weight)
    gain = gain_of(activation)

    def fill(part: Tensor) -> None:
        part.zero_()
        middle = middle_of(part)
        matrix = part.new_empty(middle.shape)
        orthonormal_(matrix, generator)
        middle.copy_(matrix * gain)

    by_group(weight, groups, fill)
