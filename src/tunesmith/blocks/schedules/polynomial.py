"""A power of what remains; the curve of torch's `PolynomialLR` and of TensorFlow's `polynomial_decay`."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import above_zero, length, level


@SCHEDULES.add("polynomial")
def polynomial(steps: int, power: float = 0.9, floor: float = 0.0, cycle: bool = False) -> Schedule:
    """`floor` + (1 - `floor`) (1 - t / `steps`)^`power`, `floor` from step `steps` on.

    With `cycle` the horizon grows to the next multiple of `steps`, and the rate leaps up after each. The power 0.9 is
    that of DeepLab, arXiv:1606.00915, section 4.1. Past the end what remains is 0, never a root of a negative number.

    Use: segmentation by custom; power 1 is a straight line.

    >>> [polynomial(10, power=2.0)(t) for t in (0, 5, 10, 20)]
    [1.0, 0.25, 0.0, 0.0]
    """
    end, exponent = length(steps), above_zero(power, "power", "1 is a straight line")
    low = level(floor, "floor")

    def factor(t: Steps, m: Maths) -> Value:
        horizon = end * m.maximum(-(-t // end), 1) if cycle else end
        return low + (1 - low) * (1 - m.minimum(t / horizon, 1.0)) ** exponent

    return Curve(factor)
