"""Root mean square normalisation. Zhang & Sennrich, arXiv:1910.07467, eq. 4."""

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.norm import NORMS, Dims


@NORMS.add("rms")
class RMSNorm(nn.Module):
    """y = γ x / √(mean(x²) + ε), the mean over the features of each sample; no centring and no β.

    Shape: (..., C) -> (..., C) for dims=0, over the last dimension alone. (N, C, *spatial) -> the same for dims > 0,
    over channels and positions together with γ by channel, as `layer` does it.
    Source: arXiv:1910.07467, eq. 4.
    """

    def __init__(self, features: int, *, dims: Dims = 0, eps: float = 1e-6) -> None:
        super().__init__()
        self.features, self.dims, self.eps = features, dims, eps
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        over = tuple(range(-1 - self.dims, 0))
        scale = torch.rsqrt(x.square().mean(over, keepdim=True) + self.eps)
        return x * scale * self.weight.reshape(-1, *(1,) * self.dims)

    def extra_repr(self) -> str:
        return f"{self.features}, dims={self.dims}, eps={self.eps}"
