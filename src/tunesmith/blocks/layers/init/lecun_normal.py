"""LeCun's initialiser, normal. LeCun et al., Efficient BackProp, 1998, eq. 16."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import normal_


@DEVIATIONS.add("lecun_normal")
def deviation(weight: Tensor, activation: str = "selu") -> float:
    """√(1 / n_in)."""
    return math.sqrt(1 / fans(weight)[0])


@INITS.add("lecun_normal")
def lecun_normal(weight: Tensor, activation: str = "selu", *, generator: Generator | None = None) -> None:
    """w ~ N(0, 1 / n_in), not cut off; the `lecun_normal` of TF and JAX is `variance_scaling`, cut at two deviations.

    Shape: (out, in, *kernel), filled in place.
    Source: Efficient BackProp, 1998, eq. 16; for SELU arXiv:1706.02515, section 2.
    Use: layers before SELU, and those that no activation follows; before ReLU the second moment halves.
    """
    normal_(weight, deviation(weight, activation), generator)
