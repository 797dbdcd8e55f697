"""He's initialiser, normal. He et al., arXiv:1502.01852, eq. 10 and 15."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans

LEAK = 0.01  # slope of `leaky_relu` below 0


def gain_squared(activation: str) -> float:
    """2 / (1 + a²), a the slope below 0: 0 but for `leaky_relu`; eq. 15."""
    return 2 / (1 + LEAK**2) if activation == "leaky_relu" else 2.0


@INITS.add("he_normal")
@torch.no_grad()
def he_normal(weight: Tensor, activation: str = "relu") -> None:
    """w ~ N(0, 2 / ((1 + a²) n_in)).

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1502.01852, eq. 10 and 15.
    """
    weight.normal_(0.0, math.sqrt(gain_squared(activation) / fans(weight)[0]))
