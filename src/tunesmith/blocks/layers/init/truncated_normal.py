"""Truncated normal that keeps its deviation, as in the variance scaling of TF and JAX."""

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import UNIT_CUT_AT_TWO, truncated_

STD = 0.02  # BERT, arXiv:1810.04805, published code


@DEVIATIONS.add("truncated_normal")
def deviation(weight: Tensor, activation: str = "gelu", std: float = STD) -> float:
    """std itself: the cut is made up for."""
    return std


@INITS.add("truncated_normal")
def truncated_normal(
    weight: Tensor, activation: str = "gelu", *, std: float = STD, generator: Generator | None = None
) -> None:
    """w ~ N(0, s²) cut off beyond 2 s, with s = std / 0.8796256610342398, so that its deviation is std.

    Shape: any, filled in place.
    Source: the truncated law of `variance_scaling` in TF and JAX; the constant is √(1 - 4 φ(2) / (2 Φ(2) - 1)).
    Use: embeddings and transformers, where the deviation asked for shall be the one that is had.
    """
    wide = std / UNIT_CUT_AT_TWO
    truncated_(weight, wide, 2 * wide, generator)
