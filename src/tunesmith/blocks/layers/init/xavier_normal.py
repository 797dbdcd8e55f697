"""Glorot's initialiser, normal. Glorot & Bengio, AISTATS 2010, eq. 12."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans


@INITS.add("xavier_normal")
@torch.no_grad()
def xavier_normal(weight: Tensor, activation: str = "tanh") -> None:
    """w ~ N(0, 2 / (n_in + n_out)).

    Shape: (out, in, *kernel), filled in place.
    Source: Glorot & Bengio, AISTATS 2010, eq. 12.
    """
    weight.normal_(0.0, math.sqrt(2 / sum(fans(weight))))
