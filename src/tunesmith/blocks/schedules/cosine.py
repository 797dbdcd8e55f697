"""Half-cosine decay. Loshchilov & Hutter, SGDR, arXiv:1608.03983, eq. 5 (one cycle); TensorFlow's `cosine_decay`."""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import length, level


@SCHEDULES.add("cosine")
def cosine(steps: int, floor: float = 0.0) -> Schedule:
    """Factor 1 at step 0, `floor` from step `steps` on: `floor` + (1 - `floor`) (1 + cos(π t / T)) / 2.

    `floor` (TensorFlow's alpha) is a fraction of the peak rate, not a rate. Flat after its end, as in TensorFlow;
    torch's `CosineAnnealingLR` climbs again: `cosine_annealing`.

    Use: the first choice where the length of the run is known; nothing to tune. A run that is cut short ends too high.

    >>> half = cosine(100)
    >>> [round(half(step), 3) for step in (0, 50, 100, 500)]
    [1.0, 0.5, 0.0, 0.0]
    """
    end, low = length(steps), level(floor, "floor")

    def factor(t: Steps, m: Maths) -> Value:
        return low + (1 - low) * (1 + m.cos(math.pi * m.minimum(t / end, 1.0))) / 2

    return Curve(factor)
