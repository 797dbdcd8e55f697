"""Small normal initialiser of transformers. Radford et al., GPT, 2018, section 4.1."""

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import UNIT_CUT_AT_TWO, truncated_

STD = 0.02  # GPT, 2018, section 4.1


@DEVIATIONS.add("normal")
def deviation(weight: Tensor, activation: str = "gelu", std: float = STD) -> float:
    """0.8796 std: the cut takes the rest."""
    return std * UNIT_CUT_AT_TWO


@INITS.add("normal")
def normal(weight: Tensor, activation: str = "gelu", *, std: float = STD, generator: Generator | None = None) -> None:
    """w ~ N(0, 0.02²) cut off beyond two standard deviations, whatever the fan (deviation 0.0176).

    Three laws share the name of a truncated normal: this one is TF's `truncated_normal(stddev=.02)`, whose deviation is
    smaller than asked; `truncated_normal` makes up for the cut; `truncated_normal_torch` cuts nothing in practice.

    Shape: any, filled in place.
    Source: GPT, 2018, section 4.1; cut off as in the published code of BERT, arXiv:1810.04805.
    Use: embeddings and transformers; deep nets without norm layers need a law that goes by the fan.
    """
    truncated_(weight, std, 2 * std, generator)
