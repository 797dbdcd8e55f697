"""The initialiser of torch's own linear and convolution layers."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans


@INITS.add("default")
@torch.no_grad()
def default(weight: Tensor, activation: str = "relu") -> None:
    """w ~ U(-r, r) with r = 1 / √n_in; `initialise(model, "default")` leaves the model as torch made it.

    Shape: (out, in, *kernel), filled in place.
    Source: LeCun et al., Efficient BackProp, 1998, eq. 16 with a third of the variance; torch's `reset_parameters`.
    """
    bound = 1 / math.sqrt(fans(weight)[0])
    weight.uniform_(-bound, bound)
