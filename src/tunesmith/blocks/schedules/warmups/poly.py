"""A power of the way gone: power 1 is the straight line, above 1 it starts gently, below 1 steeply."""

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.units import above_zero
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.blocks.schedules.warmups.rising import Start, rising


@WARMUPS.add("poly")
def poly(steps: int, start: Start = "auto", power: float = 2.0) -> Schedule:
    """`start` + (1 - `start`) (t / W)^`power`; with "auto" from 0 by (t + 1) / W.

    Use: a very deep or badly conditioned network that needs many very small updates before the rate may rise.

    >>> [poly(4, start=0.0)(t) for t in (0, 1, 2, 4)]
    [0.0, 0.0625, 0.25, 1.0]
    """
    exponent = above_zero(power, "power", "1 is a straight line")
    return rising(steps, start, lambda share, m: share**exponent)
