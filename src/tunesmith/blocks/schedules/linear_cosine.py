"""A line times a cosine: TensorFlow's `linear_cosine_decay`. Bello et al., Neural Optimizer Search, arXiv:1709.07417.

"Linear cosine" has no warm-up in it, whatever guides say of it.
"""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import above_zero, length, level


@SCHEDULES.add("linear_cosine")
def linear_cosine(steps: int, periods: float = 0.5, alpha: float = 0.0, beta: float = 0.001) -> Schedule:
    """(`alpha` + (T - t) / T) (1 + cos(2π `periods` t / T)) / 2 + `beta`, flat from T = `steps` on.

    Begins at 1 + `alpha` + `beta`, above the peak rate, as its source does, and ends at `beta` for half `periods`.

    Use: found by search for small networks; falls faster than a cosine. Else cosine.

    >>> [round(linear_cosine(1000)(t), 4) for t in (0, 500, 1000, 2000)]
    [1.001, 0.251, 0.001, 0.001]
    """
    end, turns = length(steps), above_zero(periods, "periods")
    high, low = level(alpha, "alpha"), level(beta, "beta")

    def factor(t: Steps, m: Maths) -> Value:
        gone = m.minimum(t / end, 1.0)
        return (high + 1 - gone) * wave(gone, turns, m) + low

    return Curve(factor)


def wave(gone: Value, turns: float, m: Maths) -> Value:
    """(1 + cos(2π × turns × the share that is gone)) / 2."""
    return (1 + m.cos(2 * math.pi * turns * gone)) / 2
