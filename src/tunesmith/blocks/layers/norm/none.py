"""No normalisation."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about


@NORMS.add("none")
@about()
def none(features: int, *, dims: Dims = 0) -> nn.Module:
    """y = x, for a network without normalisation.

    Shape: any -> the same.
    Use: shallow nets, or deep residual ones whose branches start at zero.
    Source: such networks train with care for the start: Zhang, Dauphin & Ma, arXiv:1901.09321.
    """
    return nn.Identity()
