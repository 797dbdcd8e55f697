"""He's initialiser, normal. He et al., arXiv:1502.01852, eq. 10 and 15."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, Fan, fan
from tunesmith.blocks.layers.init.draws import normal_
from tunesmith.blocks.layers.init.gains import gain_squared


@DEVIATIONS.add("he_normal")
def deviation(weight: Tensor, activation: str = "relu", mode: Fan = "fan_in") -> float:
    """√(2 / ((1 + a²) n)), n the fan of `mode`."""
    return math.sqrt(gain_squared(activation) / fan(weight, mode))


@INITS.add("he_normal")
def he_normal(
    weight: Tensor, activation: str = "relu", *, mode: Fan = "fan_in", generator: Generator | None = None
) -> None:
    """w ~ N(0, 2 / ((1 + a²) n_in)); with `mode="fan_out"` n_out in its place, which keeps the gradient instead.

    `activation="leaky_relu(0.2)"` gives the slope a; other activations have a = 0.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1502.01852, eq. 10, 14 and 15.
    Use: layers before ReLU and its kin; too large by √2 where no activation follows.
    """
    normal_(weight, deviation(weight, activation, mode), generator)
