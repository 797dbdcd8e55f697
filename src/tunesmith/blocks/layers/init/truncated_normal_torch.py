"""Truncated normal with the absolute bounds of torch's `trunc_normal_`."""

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import truncated_

STD = 0.02  # timm and the vision transformers built on it
CUT = 2.0  # torch: absolute, not in deviations


@DEVIATIONS.add("truncated_normal_torch")
def deviation(weight: Tensor, activation: str = "gelu", std: float = STD) -> float:
    """std, less what a cut at ±2 takes: nothing below std = 0.5."""
    from math import erf, exp, pi, sqrt

    reach = CUT / std
    inside = erf(reach / sqrt(2))
    return std * sqrt(1 - 2 * reach * exp(-(reach**2) / 2) / (sqrt(2 * pi) * inside))


@INITS.add("truncated_normal_torch")
def truncated_normal_torch(
    weight: Tensor, activation: str = "gelu", *, std: float = STD, generator: Generator | None = None
) -> None:
    """w ~ N(0, std²) cut off beyond ±2, a fixed bound: with std = 0.02 that is 100 deviations, and nothing is cut.

    Shape: any, filled in place.
    Source: `torch.nn.init.trunc_normal_` with its own a = -2, b = 2.
    Use: to repeat results of code that calls `trunc_normal_(w, std=.02)`; else `truncated_normal`.
    """
    truncated_(weight, std, CUT, generator)
