"""The peak held for a while, then a cosine: object_detection's `cosine_decay_with_warmup` after its warm-up."""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import length, updates
from tunesmith.records import RecipeError


@SCHEDULES.add("cosine_hold")
def cosine_hold(steps: int, hold: float | str = 0.1) -> Schedule:
    """Factor 1 up to step H, then (1 + cos(π (t - H) / (T - H))) / 2, exactly 0 from T = `steps` on.

    H = `hold` is a share of the run, updates or an amount; 0 is the plain cosine. The source's warm-up is `linear`
    with its start factor, joined after; its total counts the warm-up, T here does not.

    Use: where the peak rate is to work for a time before the decay; `wsd` holds it longer.

    >>> [round(cosine_hold(100, hold=20)(t), 3) for t in (0, 20, 60, 100, 101)]
    [1.0, 1.0, 0.5, 0.0, 0.0]
    """
    end = length(steps)
    start = 0 if hold == 0 else updates(hold, end, "hold")
    if start >= end > 1:
        raise RecipeError(f"hold = {hold!r} are {start} of {end} updates, which leaves none to decay in; hold fewer")
    span = max(end - start, 1)

    def factor(t: Steps, m: Maths) -> Value:
        return (1 + m.cos(math.pi * m.minimum(m.maximum(t - start, 0) / span, 1.0))) / 2

    return Curve(factor)
