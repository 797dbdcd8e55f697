"""Group normalisation. Wu & He, arXiv:1803.08494, eq. 1 and 7."""

from typing import Literal

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.records import ModelError

MOST_GROUPS = 32  # arXiv:1803.08494, section 4.1
LEAST_CHANNELS = 4  # assumption: with fewer channels a group of vectors (dims=0) keeps next to nothing but signs


def groups_of(features: int) -> int:
    """The largest divisor of `features` that is at most 32 and leaves at least 4 channels a group, else 1.

    >>> [groups_of(features) for features in (3, 16, 30, 31, 64, 96, 128, 512)]
    [1, 4, 6, 1, 16, 24, 32, 32]
    """
    fitting = (
        count for count in range(MOST_GROUPS, 0, -1) if features % count == 0 and features // count >= LEAST_CHANNELS
    )
    return next(fitting, 1)


@NORMS.add("group")
@about(invariant_to=("weight_scale", "batch_scale", "sample_scale", "shift"))
def group(
    features: int,
    *,
    dims: Dims = 0,
    groups: int | Literal["auto"] = "auto",
    eps: float = 1e-5,
    affine: bool = True,
) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the C/G channels of a group and all positions of each sample.

    Shape: (N, C, *positions) -> the same. `groups` G must divide C; "auto": `groups_of` gives their number. G = 1 is
    `layer` on (N, C, *positions), G = C is `instance`.
    Use: pictures in batches under 16 a device, detection, segmentation, anything with accumulation.
    Source: arXiv:1803.08494, eq. 1, 2 and 7.
    """
    count = groups_of(features) if groups == "auto" else groups
    if count < 1 or features % count:
        raise ModelError(
            f"norm 'group' got {groups} groups for {features} channels, which they do not divide; "
            f"try groups = {groups_of(features)}"
        )
    return nn.GroupNorm(count, features, eps, affine)
