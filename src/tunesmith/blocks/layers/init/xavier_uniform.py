"""Glorot's initialiser, uniform. Glorot & Bengio, AISTATS 2010, eq. 16."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import uniform_
from tunesmith.blocks.layers.init.xavier_normal import deviation

DEVIATIONS.add("xavier_uniform")(deviation)


@INITS.add("xavier_uniform")
def xavier_uniform(
    weight: Tensor, activation: str = "tanh", *, gain: float = 1.0, generator: Generator | None = None
) -> None:
    """w ~ U(-r, r) with r = g √(6 / (n_in + n_out)), the variance of `xavier_normal`: neither is the larger one.

    Shape: (out, in, *kernel), filled in place.
    Source: Glorot & Bengio, AISTATS 2010, eq. 16.
    Use: as `xavier_normal`; on an embedding (V, d) it gives about √(2 / V), too small for a large vocabulary.
    """
    uniform_(weight, math.sqrt(3) * deviation(weight, activation, gain), generator)
