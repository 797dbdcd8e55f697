"""Small normal initialiser of transformers. Radford et al., GPT, 2018, section 4.1."""

import torch
from torch import Tensor
from torch.nn.init import trunc_normal_

from tunesmith.blocks.layers.init import INITS

STD = 0.02  # GPT, 2018, section 4.1


@INITS.add("normal")
@torch.no_grad()
def normal(weight: Tensor, activation: str = "gelu") -> None:
    """w ~ N(0, 0.02²) cut off beyond two standard deviations, whatever the fan (deviation 0.0176).

    Shape: any, filled in place.
    Source: GPT, 2018, section 4.1; cut off as in the published code of BERT, arXiv:1810.04805.
    """
    trunc_normal_(weight, std=STD, a=-2 * STD, b=2 * STD)
