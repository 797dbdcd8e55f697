"""Minibatch discrimination: what a sample has in common with its batch, as further features.

Legend: f (N, A) features of N samples, T (A, B, C) learnt, M_i = f_i T, a B × C matrix of sample i.
"""

import torch
from torch import Tensor, nn

from tunesmith.generative.cures import CURES


@CURES.add("minibatch_discrimination")
class MinibatchDiscrimination(nn.Module):
    """o(x_i)_b = Σ_{j≠i} exp(-|M_i,b - M_j,b|₁), joined to the features: (N, A) in, (N, A + B) out.

    A batch of samples that are alike has large o. The sum leaves out the sample itself, whose term is always 1. It depends on
    the number of samples: keep the batch size, and give real and made samples in batches of their own.

    Use: before the last layer of a discriminator, where the generator makes the same sample over and over.
    Source: Salimans et al., arXiv:1606.03498, section 3.2.

    >>> layer = MinibatchDiscrimination(2, kernels=1)
    >>> layer(torch.ones(4, 2))[:, 2].tolist()  # three others, all alike
    [3.0, 3.0, 3.0, 3.0]
    """

    def __init__(self, features: int, kernels: int = 16, width: int = 8) -> None:
        super().__init__()
        self.kernels = kernels
        self.tensor = nn.Parameter(torch.randn(features, kernels, width) / features**0.5)  # variance 1 of M; assumption

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features, self.closeness(features)], dim=1)

    def closeness(self, features: Tensor) -> Tensor:
        """The o alone: (N, B)."""
        matrices = torch.einsum("na,abc->nbc", features, self.tensor)
        apart = (matrices[:, None] - matrices[None]).abs().sum(dim=3)  # (N, N, B)
        return torch.exp(-apart).sum(dim=1) - 1
