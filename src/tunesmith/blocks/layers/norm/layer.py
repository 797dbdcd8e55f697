"""Layer normalisation. Ba, Kiros & Hinton, arXiv:1607.06450, eq. 3 and 4."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.records import ModelError


@NORMS.add("layer")
@about(invariant_to=("weight_scale", "batch_scale", "sample_scale", "shift"))
def layer(
    features: int | tuple[int, ...], *, dims: Dims = 0, eps: float = 1e-5, affine: bool = True, bias: bool = True
) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the features of each sample.

    μ and σ are one number a sample, γ and β vectors over the features. Only an input without bias before the norm is
    invariant to its scale: LN(λ W x + b) is not.
    Shape: (..., C) -> (..., C) for dims=0, over the last dimension alone, or over several as a tuple of sizes.
    (N, C, *positions) -> the same for dims > 0, over channels and positions together with γ and β by channel, which is
    group normalisation with one group.
    Use: sequences, tables, recurrent nets, any batch size.
    Source: arXiv:1607.06450, eq. 3 and 4; one group: arXiv:1803.08494, section 3.1.
    """
    if dims == 0:
        return nn.LayerNorm(features, eps, affine, bias)
    if not isinstance(features, int):
        raise ModelError(f"norm 'layer' got sizes {features} with dims={dims}; several sizes go with dims=0 only")
    if affine and not bias:
        raise ModelError("norm 'layer' over channels and positions has γ and β or neither; set affine=False")
    return nn.GroupNorm(1, features, eps, affine)
