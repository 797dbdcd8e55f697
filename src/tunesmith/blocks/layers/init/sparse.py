"""A few large weights a unit, the others zero. Martens, ICML 2010, section 5."""

import math

import torch
from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import drawn

NONZERO = 15  # Martens, section 5
STD = 1.0  # Sutskever et al., ICML 2013, section 3.1: unit Gaussian


@DEVIATIONS.add("sparse")
def deviation(weight: Tensor, activation: str = "tanh", nonzero: int = NONZERO, std: float = STD) -> float:
    """std √(k / n_in)."""
    inputs = fans(weight)[0]
    return std * math.sqrt(min(nonzero, inputs) / inputs)


@INITS.add("sparse")
def sparse(
    weight: Tensor,
    activation: str = "tanh",
    *,
    nonzero: int = NONZERO,
    std: float = STD,
    generator: Generator | None = None,
) -> None:
    """w ~ N(0, 1) for k = 15 inputs of each unit, drawn without replacement, and w = 0 for the others.

    torch's `sparse_` zeroes a share of each *column*, so that units differ in how many inputs they have.

    Shape: (out, in, *kernel), filled in place.
    Source: Martens, ICML 2010, section 5; Sutskever et al., ICML 2013, section 3.1.
    Use: wide tanh or recurrent nets under second-order methods; ReLU nets are better off with He's law.
    """
    inputs = fans(weight)[0]

    def fill(full: Tensor) -> None:
        values = torch.empty(full.shape[0], inputs, dtype=full.dtype, device=full.device)
        values.normal_(0.0, std, generator=generator)
        order = torch.rand(values.shape, dtype=values.dtype, device=values.device, generator=generator).argsort(1)
        full.copy_(values.masked_fill(order.argsort(1) >= nonzero, 0.0).reshape(full.shape))

    drawn(weight, fill)
