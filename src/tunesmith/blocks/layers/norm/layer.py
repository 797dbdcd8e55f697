"""Layer normalisation. Ba, Kiros & Hinton, arXiv:1607.06450, eq. 3 and 4."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims


@NORMS.add("layer")
def layer(features: int, *, dims: Dims = 0) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the features of each sample.

    Shape: (..., C) -> (..., C) for dims=0, over the last dimension alone. (N, C, *spatial) -> the same for dims > 0,
    over channels and positions together with γ and β by channel, which is group normalisation with one group.
    Source: arXiv:1607.06450, eq. 3 and 4; one group: arXiv:1803.08494, section 3.1.
    """
    return nn.LayerNorm(features) if dims == 0 else nn.GroupNorm(1, features)
