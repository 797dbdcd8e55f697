"""Plain uniform of a fixed bound."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import uniform_

BOUND = 0.05  # Keras: RandomUniform, its default, and that of its embeddings


@DEVIATIONS.add("uniform")
def deviation(weight: Tensor, activation: str = "relu", bound: float = BOUND) -> float:
    """a / √3."""
    return bound / math.sqrt(3)


@INITS.add("uniform")
def uniform(
    weight: Tensor, activation: str = "relu", *, bound: float = BOUND, generator: Generator | None = None
) -> None:
    """w ~ U(-a, a), whatever the fan.

    Shape: any, filled in place.
    Source: Keras, `RandomUniform`: a = 0.05.
    Use: embeddings; hidden layers need a law that goes by the fan.
    """
    uniform_(weight, bound, generator)
