"""A constant burn-in, then stairs: object_detection's `exponential_decay_with_burnin`, as it is since 2018.

The version of 2017 counts its stairs from step 0 and has no floor: `exponential_burnin_2017`.
"""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import decay_factor, length, level, updates


@SCHEDULES.add("exponential_burnin")
def exponential_burnin(
    steps: int,
    burnin: float | str = 0.05,
    start: float = 1.0,
    every: float | str = 0.25,
    gamma: float = 0.1,
    staircase: bool = True,
    floor: float = 0.0,
) -> Schedule:
    """`start` while t < B, then `gamma`^⌊(t - B) / `every`⌋, smooth without `staircase`; never below `floor`.

    `burnin` B and `every` are shares of the run, updates or amounts; `start` and `floor` factors of the peak rate. The
    burn-in is part of the formula, not a warm-up of the recipe. Source's `burnin_learning_rate` 0 means `start` = 1.

    Use: to repeat a run of object_detection.

    >>> stairs = exponential_burnin(9, burnin=2, start=0.5, every=3, floor=0.05)
    >>> [round(stairs(t), 3) for t in (0, 1, 2, 4, 5, 8)]
    [0.5, 0.5, 1.0, 1.0, 0.1, 0.05]
    """
    mark, span = updates(burnin, length(steps), "burnin"), updates(every, steps, "every")
    first, drop, low = level(start, "start"), decay_factor(gamma), level(floor, "floor")

    def factor(t: Steps, m: Maths) -> Value:
        since = m.maximum(t - mark, 0)
        decayed = drop ** (since // span if staircase else since / span)
        return m.maximum(m.either(t < mark, lambda: first, lambda: decayed), low)

    return Curve(factor, warmup=mark)
