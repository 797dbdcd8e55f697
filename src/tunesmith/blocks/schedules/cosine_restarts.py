"""A cosine that starts again: warm restarts. Loshchilov & Hutter, SGDR, arXiv:1608.03983, eq. 5, section 3.

The settings are those of TensorFlow's `cosine_decay_restarts`; torch's `CosineAnnealingWarmRestarts` has no `m_mul`.
"""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.cycles import Cycles
from tunesmith.blocks.schedules.units import above_zero, length, level, updates

HIGHEST = 1e100  # where `m_mul` > 1 is to end: no training lives that long, and no product of it is infinite


@SCHEDULES.add("cosine_restarts")
def cosine_restarts(
    steps: int, first: float | str = 1 / 7, t_mul: float = 2.0, m_mul: float = 1.0, floor: float = 0.0
) -> Schedule:
    """(1 - `floor`) `m_mul`^k (1 + cos(π p)) / 2 + `floor`, p being the share of cycle k that is gone.

    Cycle k lasts F `t_mul`^k; F = `first` is a share of the run, updates or an amount, by default so that three cycles
    fill the run. A restart has the new peak at its very step (see `cycles.py` for what others do there). `floor`
    (TensorFlow's alpha) is a fraction of the peak and is not scaled by `m_mul`. Above 1 only with `m_mul` > 1.

    Use: where weights at the end of each cycle are kept (snapshot ensembles), or a run may be stopped at any cycle's
    end.

    >>> waves = cosine_restarts(700, first=100)
    >>> [round(waves(t), 3) for t in (0, 50, 100, 200, 300, 700)]
    [1.0, 0.5, 1.0, 0.5, 1.0, 1.0]
    """
    cycles = Cycles(updates(first, length(steps), "first"), t_mul)
    growth, low = above_zero(m_mul, "m_mul"), level(floor, "floor")
    most = math.inf if growth <= 1 else math.log(HIGHEST) / math.log(growth)

    def factor(t: Steps, m: Maths) -> Value:
        k, gone = cycles.at(t, m)
        return (1 - low) * growth ** m.minimum(k, most) * (1 + m.cos(math.pi * gone)) / 2 + low

    return Curve(factor)
