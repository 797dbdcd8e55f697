"""LeCun's initialiser, normal. LeCun et al., Efficient BackProp, 1998, eq. 16."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans


@INITS.add("lecun_normal")
@torch.no_grad()
def lecun_normal(weight: Tensor, activation: str = "selu") -> None:
    """w ~ N(0, 1 / n_in).

    Shape: (out, in, *kernel), filled in place.
    Source: Efficient BackProp, 1998, eq. 16; for SELU arXiv:1706.02515, section 2.
    """
    weight.normal_(0.0, math.sqrt(1 / fans(weight)[0]))
