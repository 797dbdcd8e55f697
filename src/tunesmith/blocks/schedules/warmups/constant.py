"""A small rate, then the full one. He et al., arXiv:1512.03385, section 4.2: 0.01 for about 400 updates, then 0.1."""

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import length
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.blocks.schedules.warmups.rising import Start, first

SMALL = 0.1  # He et al.: a tenth


@WARMUPS.add("constant")
def constant(steps: int, start: Start = "auto") -> Schedule:
    """`start` before step W, then 1; "auto" is 0.1. The first steps of torch's ConstantLR (there 1/3).

    Use: where the full rate diverges at first and nothing finer is needed; the jump at its end can shake the loss.

    >>> [constant(400)(t) for t in (0, 399, 400)]
    [0.1, 0.1, 1.0]
    """
    span, low = length(steps, 0), first(start, SMALL)
    return Curve(lambda t, m: m.either(t < span, lambda: low, lambda: 1.0))
