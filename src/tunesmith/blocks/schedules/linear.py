"""A straight line; the curve of torch's `LinearLR`."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import length, level


@SCHEDULES.add("linear")
def linear(steps: int, floor: float = 0.0, start: float = 1.0) -> Schedule:
    """Factor `start` at step 0, `floor` from step `steps` on.

    Use: fine-tuning of transformers, and wherever cosine is used; ends lower for longer than a cosine does.

    >>> [linear(4)(step) for step in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """
    end, first, last = length(steps), level(start, "start"), level(floor, "floor")
    return Curve(lambda t, m: first + (last - first) * m.minimum(t / end, 1.0))
