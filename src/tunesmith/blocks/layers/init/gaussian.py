"""Plain normal of a fixed deviation. Krizhevsky, Sutskever & Hinton, NIPS 2012, section 5."""

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import normal_

STD = 0.01  # AlexNet, section 5


@DEVIATIONS.add("gaussian")
def deviation(weight: Tensor, activation: str = "relu", std: float = STD) -> float:
    """std."""
    return std


@INITS.add("gaussian")
def gaussian(weight: Tensor, activation: str = "relu", *, std: float = STD, generator: Generator | None = None) -> None:
    """w ~ N(0, std²), whatever the fan.

    Shape: any, filled in place.
    Source: Krizhevsky, Sutskever & Hinton, NIPS 2012, section 5: deviation 0.01.
    Use: last layers whose outputs shall start near 0; hidden layers of a deep net lose their signal.
    """
    normal_(weight, std, generator)
