"""One over the square root of the time. Vaswani et al., arXiv:1706.03762, eq. 3; the curve of transformers after its
warm-up."""

import math

from tunesmith.blocks.schedules import SCHEDULES, Schedule, updates


@SCHEDULES.add("inverse_sqrt")
def inverse_sqrt(steps: int, timescale: float = 0.1) -> Schedule:
    """sqrt(s / (s + t)) with the time scale s, a share of the run or updates; a recipe's warm-up is its time scale.

    >>> [inverse_sqrt(1000)(t) for t in (0, 300, 1500)]
    [1.0, 0.5, 0.25]
    """
    scale = updates(timescale, steps, "timescale")  # default 0.1: assumption

    def factor(step: int) -> float:
        return math.sqrt(scale / (scale + step))

    return factor
