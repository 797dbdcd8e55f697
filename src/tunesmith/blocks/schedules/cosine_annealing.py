"""A cosine that is not cut off: torch's `CosineAnnealingLR`. Formula of Loshchilov & Hutter, arXiv:1608.03983, eq. 5."""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import length, level, updates


@SCHEDULES.add("cosine_annealing")
def cosine_annealing(steps: int, floor: float = 0.0, half_period: float | str | None = None) -> Schedule:
    """`floor` + (1 - `floor`) (1 + cos(π t / T)) / 2 with T = `half_period`, by default the run; period 2T.

    After T it climbs back as slowly as it fell, and is at the peak again at 2T: torch and every guide that steps it
    past `T_max` do this; TensorFlow's cosine (`cosine`) stays at its floor. `half_period` is a share of the run,
    updates or an amount.

    Use: to repeat a run of torch, or for waves without jumps; for one decay take `cosine`.

    >>> wave = cosine_annealing(100)
    >>> [round(wave(t), 3) for t in (0, 50, 100, 150, 200)]
    [1.0, 0.5, 0.0, 0.5, 1.0]
    """
    run, low = length(steps), level(floor, "floor")
    half = run if half_period is None else updates(half_period, run, "half_period")

    def factor(t: Steps, m: Maths) -> Value:
        return low + (1 - low) * (1 + m.cos(math.pi * (t % (2 * half) / half))) / 2

    return Curve(factor)
