"""Glorot's initialiser, normal. Glorot & Bengio, AISTATS 2010, eq. 12."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import normal_


@DEVIATIONS.add("xavier_normal")
def deviation(weight: Tensor, activation: str = "tanh", gain: float = 1.0) -> float:
    """g √(2 / (n_in + n_out))."""
    return gain * math.sqrt(2 / sum(fans(weight)))


@INITS.add("xavier_normal")
def xavier_normal(
    weight: Tensor, activation: str = "tanh", *, gain: float = 1.0, generator: Generator | None = None
) -> None:
    """w ~ N(0, 2 g² / (n_in + n_out)), with g = 1 as in the paper, whatever the activation.

    torch's gain for tanh is `gain("tanh")` = 5/3. Xavier times √2 is He's only where n_in = n_out.

    Shape: (out, in, *kernel), filled in place.
    Source: Glorot & Bengio, AISTATS 2010, eq. 12.
    Use: layers before tanh and sigmoid; before ReLU the second moment halves at each layer.
    """
    normal_(weight, deviation(weight, activation, gain), generator)
