"""Glorot's initialiser, uniform. Glorot & Bengio, AISTATS 2010, eq. 16."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans


@INITS.add("xavier_uniform")
@torch.no_grad()
def xavier_uniform(weight: Tensor, activation: str = "tanh") -> None:
    """w ~ U(-r, r) with r = √(6 / (n_in + n_out)).

    Shape: (out, in, *kernel), filled in place.
    Source: Glorot & Bengio, AISTATS 2010, eq. 16.
    """
    bound = math.sqrt(6 / sum(fans(weight)))
    weight.uniform_(-bound, bound)
