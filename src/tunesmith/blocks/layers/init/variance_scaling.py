"""Variance scaling: one law with scale, fan and distribution, as in TF, Keras and JAX."""

import math
from typing import Literal

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, Fan, fan
from tunesmith.blocks.layers.init.draws import UNIT_CUT_AT_TWO, normal_, truncated_, uniform_
from tunesmith.records import ModelError

Law = Literal["truncated_normal", "normal", "uniform"]


@DEVIATIONS.add("variance_scaling")
def deviation(weight: Tensor, activation: str = "identity", scale: float = 1.0, mode: Fan = "fan_in") -> float:
    """√(scale / n)."""
    return math.sqrt(scale / fan(weight, mode))


@INITS.add("variance_scaling")
def variance_scaling(
    weight: Tensor,
    activation: str = "identity",
    *,
    scale: float = 1.0,
    mode: Fan = "fan_in",
    distribution: Law = "truncated_normal",
    generator: Generator | None = None,
) -> None:
    """Var w = scale / n, n the fan of `mode`; truncated at two deviations and made up for it, normal, or uniform.

    scale 1 with fan_in is LeCun's law, 1 with fan_avg Glorot's, 2 with fan_in He's.

    Shape: (out, in, *kernel), filled in place.
    Source: `VarianceScaling` of TF and Keras, `jax.nn.initializers.variance_scaling`: the deviation before the cut is
    divided by 0.8796256610342398.
    Use: to repeat a net that was written in TF, Keras or JAX, whose normal laws are all cut off.
    """
    if scale <= 0:
        raise ModelError(f"variance_scaling got scale = {scale}; expected a number above 0, such as 1.0 or 2.0")
    std = deviation(weight, activation, scale, mode)
    if distribution == "normal":
        normal_(weight, std, generator)
    elif distribution == "uniform":
        uniform_(weight, math.sqrt(3) * std, generator)
    elif distribution == "truncated_normal":
        truncated_(weight, std / UNIT_CUT_AT_TWO, 2 * std / UNIT_CUT_AT_TWO, generator)
    else:
        raise ModelError(
            f"variance_scaling has no distribution {distribution!r}; choose truncated_normal, normal or uniform"
        )
