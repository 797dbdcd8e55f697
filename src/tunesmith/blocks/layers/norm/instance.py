"""Instance normalisation. Ulyanov, Vedaldi & Lempitsky, arXiv:1607.08022, eq. 3."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.records import ModelError


@NORMS.add("instance")
@about(invariant_to=("weight_scale", "neuron_scale", "batch_scale", "sample_scale", "shift", "neuron_shift"))
def instance(features: int, *, dims: Dims = 0, eps: float = 1e-5, affine: bool = True) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the positions of each channel of each sample.

    Shape: (N, C, *positions) -> the same with more than one position in training. No running averages: training and
    evaluation compute the same. torch's own layer has γ and β off by default; here they are on.
    Use: style transfer and other pictures whose contrast carries nothing; not where the level of a channel is the signal.
    Source: arXiv:1607.08022, eq. 3.
    """
    if dims == 0:
        raise ModelError(
            "norm 'instance' on vectors: each channel has one value, so every output would be zero; "
            "expected pictures or sequences, try 'layer' or 'batch'"
        )
    return (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[dims - 1](features, eps, affine=affine)
