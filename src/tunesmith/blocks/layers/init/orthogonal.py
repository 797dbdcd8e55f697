"""Orthogonal initialiser. Saxe, McClelland & Ganguli, arXiv:1312.6120, section 3."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.layers.init import INITS, fans
from tunesmith.blocks.layers.init.he_normal import gain_squared


@INITS.add("orthogonal")
@torch.no_grad()
def orthogonal(weight: Tensor, activation: str = "identity") -> None:
    """W flattened to (out, n_in) has W Wᵀ = g² I or Wᵀ W = g² I, whichever is the smaller; g² = 2 for ReLU, else 1.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1312.6120, section 3; every orthogonal matrix equally likely: Mezzadri, math-ph/0609050, section 5.
    """
    columns, rows = fans(weight)[0], weight.shape[0]
    draw = torch.randn(max(rows, columns), min(rows, columns), dtype=weight.dtype, device=weight.device)
    basis, triangle = torch.linalg.qr(draw)
    basis = basis * triangle.diagonal().sign()
    gain = math.sqrt(gain_squared(activation)) if activation in ("relu", "leaky_relu") else 1.0
    weight.copy_((basis if rows >= columns else basis.T).reshape(weight.shape) * gain)
