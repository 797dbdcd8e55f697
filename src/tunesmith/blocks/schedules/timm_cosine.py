"""The cosine of timm (`CosineLRScheduler`): cycles whose peaks fall, and an end after so many."""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.cycles import Cycles
from tunesmith.blocks.schedules.units import decay_factor, length, level, updates


@SCHEDULES.add("timm_cosine")
def timm_cosine(
    steps: int,
    first: float | str | None = None,
    floor: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
) -> Schedule:
    """`floor` + (d^k - `floor`) (1 + cos(π p)) / 2 in cycle k < `cycle_limit`, then `floor`; d = `cycle_decay`.

    p is the share of cycle k that is gone; it lasts F `cycle_mul`^k, F = `first` (timm's `t_initial`) being a share of
    the run, updates or an amount, by default the run. A peak never lies below `floor`. timm's warm-up lies over the
    first steps: join it by "over"; with its `warmup_prefix` by "after". Restarts that go on for ever are
    `cosine_restarts`.

    Use: to repeat a run of timm.

    >>> curve = timm_cosine(300, first=100, cycle_decay=0.5, cycle_limit=2)
    >>> [round(curve(t), 3) for t in (0, 50, 100, 150, 200)]
    [1.0, 0.5, 0.5, 0.25, 0.0]
    """
    span = length(steps) if first is None else updates(first, length(steps), "first")
    cycles, shrink = Cycles(span, cycle_mul), decay_factor(cycle_decay, "cycle_decay")
    low, limit = level(floor, "floor"), length(cycle_limit, name="cycle_limit")

    def factor(t: Steps, m: Maths) -> Value:
        k, gone = cycles.at(t, m)
        above = m.maximum(shrink**k - low, 0.0)
        return low + m.either(k < limit, lambda: above * (1 + m.cos(math.pi * gone)) / 2, lambda: 0.0)

    return Curve(factor)
