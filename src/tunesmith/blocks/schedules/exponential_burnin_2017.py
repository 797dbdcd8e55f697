"""A constant burn-in laid over stairs from step 0: object_detection's `exponential_decay_with_burnin` of 2017.

Since 2018 it counts from the end of the burn-in and has a floor: `exponential_burnin`.
"""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import decay_factor, length, level, updates


@SCHEDULES.add("exponential_burnin_2017")
def exponential_burnin_2017(
    steps: int, burnin: float | str = 0.05, start: float = 1.0, every: float | str = 0.25, gamma: float = 0.1
) -> Schedule:
    """`start` while t < B, then `gamma`^⌊t / `every`⌋, counted from step 0.

    `burnin` B and `every` are shares of the run, updates or amounts.

    Use: to repeat a run of the object_detection of 2017; else `exponential_burnin`.

    >>> stairs = exponential_burnin_2017(8, burnin=2, start=0.5, every=3)
    >>> [round(stairs(t), 3) for t in (0, 1, 2, 3, 5, 6)]
    [0.5, 0.5, 1.0, 0.1, 0.1, 0.01]
    """
    mark, span = updates(burnin, length(steps), "burnin"), updates(every, steps, "every")
    first, drop = level(start, "start"), decay_factor(gamma)
    return Curve(lambda t, m: m.either(t < mark, lambda: first, lambda: drop ** (t // span)), warmup=mark)
