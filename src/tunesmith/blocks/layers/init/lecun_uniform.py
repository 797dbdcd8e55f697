"""LeCun's initialiser, uniform. LeCun et al., Efficient BackProp, 1998, section 4.6 and eq. 16."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.draws import uniform_
from tunesmith.blocks.layers.init.lecun_normal import deviation

DEVIATIONS.add("lecun_uniform")(deviation)


@INITS.add("lecun_uniform")
def lecun_uniform(weight: Tensor, activation: str = "selu", *, generator: Generator | None = None) -> None:
    """w ~ U(-r, r) with r = √(3 / n_in), the variance of `lecun_normal`; torch's `default` is U(±1/√n_in), a third.

    Shape: (out, in, *kernel), filled in place.
    Source: Efficient BackProp, 1998, section 4.6 and eq. 16.
    Use: as `lecun_normal`, where no weight may be far from 0.
    """
    uniform_(weight, math.sqrt(3) * deviation(weight, activation), generator)
