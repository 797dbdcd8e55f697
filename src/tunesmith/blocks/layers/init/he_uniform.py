"""He's initialiser, uniform. He et al., arXiv:1502.01852, eq. 10 and 15."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans
from tunesmith.blocks.layers.init.he_normal import gain_squared


@INITS.add("he_uniform")
@torch.no_grad()
def he_uniform(weight: Tensor, activation: str = "relu") -> None:
    """w ~ U(-r, r) with r = √(6 / ((1 + a²) n_in)), the variance of `he_normal`.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1502.01852, eq. 10 and 15.
    """
    bound = math.sqrt(3 * gain_squared(activation) / fans(weight)[0])
    weight.uniform_(-bound, bound)
