"""Orthogonal initialiser. Saxe, McClelland & Ganguli, arXiv:1312.6120, section 3."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init.catalogue import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import by_group, orthonormal_
from tunesmith.blocks.layers.init.gains import gain_squared, parsed

SCALED = ("relu", "leaky_relu", "prelu", "rrelu")  # those with g² = 2 / (1 + a²) exactly


def gain_of(activation: str) -> float:
    """√(2 / (1 + a²)) for ReLU and its leaky kin, else 1."""
    return math.sqrt(gain_squared(activation)) if parsed(activation)[0] in SCALED else 1.0


@DEVIATIONS.add("orthogonal")
def deviation(weight: Tensor, activation: str = "identity", groups: int = 1) -> float:
    """g / √max(out, n_in), of one group."""
    return gain_of(activation) / math.sqrt(max(weight.shape[0] // groups, fans(weight)[0]))


@INITS.add("orthogonal")
def orthogonal(
    weight: Tensor, activation: str = "identity", *, groups: int = 1, generator: Generator | None = None
) -> None:
    """W flattened to (out, n_in) has W Wᵀ = g² I or Wᵀ W = g² I, whichever is the smaller; g² = 2 for ReLU, else 1.

    With `groups`, each group's own matrix: one over all groups would shrink a depthwise convolution by its channels.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1312.6120, section 3; every orthogonal matrix equally likely: Mezzadri, math-ph/0609050, section 5.
    Use: deep linear or tanh nets and recurrent weights; where widths change much the variance of the outputs does too.
    """
    fans(weight)
    gain = gain_of(activation)

    def fill(part: Tensor) -> None:
        matrix = part.new_empty(part.shape[0], part[0].numel())
        orthonormal_(matrix, generator)
        part.copy_(matrix.reshape(part.shape) * gain)

    by_group(weight, groups, fill)
