"""Group normalisation. Wu & He, arXiv:1803.08494, eq. 1 and 7."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims

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
def group(features: int, *, dims: Dims = 0) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the channels of a group and all positions of each sample.

    Shape: (N, C, *spatial) -> (N, C, *spatial). `groups_of` gives the number of groups.
    Source: arXiv:1803.08494, eq. 1, 2 and 7.
    """
    return nn.GroupNorm(groups_of(features), features)
