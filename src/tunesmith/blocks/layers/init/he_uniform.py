"""He's initialiser, uniform. He et al., arXiv:1502.01852, eq. 10 and 15."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, Fan
from tunesmith.blocks.layers.init.draws import uniform_
from tunesmith.blocks.layers.init.he_normal import deviation

DEVIATIONS.add("he_uniform")(deviation)


@INITS.add("he_uniform")
def he_uniform(
    weight: Tensor, activation: str = "relu", *, mode: Fan = "fan_in", generator: Generator | None = None
) -> None:
    """w ~ U(-r, r) with r = √(6 / ((1 + a²) n_in)), the variance of `he_normal`.

    torch's own layers call `kaiming_uniform_(a=√5)`, which is U(±1/√n_in) with a sixth of this variance: `default`.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1502.01852, eq. 10 and 15.
    Use: as `he_normal`, where no weight may be far from 0; the variance is the same.
    """
    uniform_(weight, math.sqrt(3) * deviation(weight, activation, mode), generator)
