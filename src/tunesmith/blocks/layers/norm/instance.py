"""Instance normalisation. Ulyanov, Vedaldi & Lempitsky, arXiv:1607.08022, eq. 3."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims
from tunesmith.records import ModelError


@NORMS.add("instance")
def instance(features: int, *, dims: Dims = 0) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the positions of each channel of each sample.

    Shape: (N, C, *spatial) -> (N, C, *spatial) with more than one position in training. No running averages: training
    and evaluation compute the same.
    Source: arXiv:1607.08022, eq. 3.
    """
    if dims == 0:
        raise ModelError(
            "norm 'instance' on vectors: each channel has one value, so every output would be zero; "
            "expected pictures or sequences, try 'layer' or 'batch'"
        )
    return (nn.InstanceNorm1d, nn.InstanceNorm2d)[dims - 1](features, affine=True)
