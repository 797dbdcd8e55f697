"""A power of what remains; the curve of torch's `PolynomialLR` and of TensorFlow's `polynomial_decay`."""

import math

from tunesmith.blocks.schedules import SCHEDULES, Schedule
from tunesmith.records import RecipeError


@SCHEDULES.add("polynomial")
def polynomial(steps: int, power: float = 0.9, floor: float = 0.0, cycle: bool = False) -> Schedule:
    """`floor` + (1 - `floor`) (1 - t / `steps`)^`power`, `floor` from step `steps` on.

    With `cycle` the horizon grows to the next multiple of `steps`, and the rate leaps up after each. The power 0.9 is
    that of DeepLab, arXiv:1606.00915, section 4.1.

    >>> [polynomial(10, power=2.0)(t) for t in (0, 5, 10, 20)]
    [1.0, 0.25, 0.0, 0.0]
    """
    if not power > 0:
        raise RecipeError(f"polynomial got power = {power!r}, a number above 0 was expected; 1 is a straight line")

    def factor(step: int) -> float:
        horizon = steps * max(math.ceil(step / steps), 1) if cycle else steps
        remains = 1 - min(step / horizon, 1.0)
        return floor + (1 - floor) * math.pow(remains, power)

    return factor
