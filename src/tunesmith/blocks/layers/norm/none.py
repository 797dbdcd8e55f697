"""No normalisation."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims


@NORMS.add("none")
def none(features: int, *, dims: Dims = 0) -> nn.Module:
    """y = x, for a network without normalisation.

    Shape: any -> the same.
    Source: such networks train with care for the start: Zhang, Dauphin & Ma, arXiv:1901.09321.
    """
    return nn.Identity()
