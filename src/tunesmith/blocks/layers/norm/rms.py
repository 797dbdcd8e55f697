"""Root mean square normalisation. Zhang & Sennrich, arXiv:1910.07467, eq. 4."""

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.blocks.layers.norm.channels import beside, mean_square


class RMSNorm(nn.Module):
    """y = γ x / √(mean(x²) + ε) over channels and positions together. Shape: (N, C, *positions) -> the same."""

    def __init__(self, features: int, *, eps: float = 1e-6, affine: bool = True) -> None:
        super().__init__()
        self.features, self.eps = features, eps
        self.weight = nn.Parameter(torch.ones(features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        over = tuple(range(1, x.dim()))
        scale = (mean_square(x, over) + self.eps).rsqrt()
        factor: Tensor = scale if self.weight is None else scale * beside(self.weight, x)
        return (x * factor).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.features}, eps={self.eps}"


@NORMS.add("rms")
@about(invariant_to=("weight_scale", "batch_scale", "sample_scale"))
def rms(features: int, *, dims: Dims = 0, eps: float | None = 1e-6, affine: bool = True) -> nn.Module:
    """y = γ x / √(mean(x²) + ε), the mean over the features of each sample; no centring and no β.

    `eps=None` is the machine epsilon of the input's type, as torch's own layer has it by default.
    Shape: (..., C) -> (..., C) for dims=0, over the last dimension alone. (N, C, *positions) -> the same for dims > 0,
    over channels and positions together with γ by channel, as `layer` does it.
    Use: sequences, where it does what `layer` does at less cost; not where the mean of the features must go.
    Source: arXiv:1910.07467, eq. 4.
    """
    if dims == 0:
        return nn.RMSNorm(features, eps, affine)
    return RMSNorm(features, eps=torch.finfo(torch.float32).eps if eps is None else eps, affine=affine)
