"""A straight line."""

from tunesmith.blocks.schedules import SCHEDULES, Schedule


@SCHEDULES.add("linear")
def linear(steps: int, floor: float = 0.0, start: float = 1.0) -> Schedule:
    """Factor `start` at step 0, `floor` from step `steps` on.

    >>> [linear(4)(step) for step in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    def factor(step: int) -> float:
        progress = min(step / steps, 1.0)
        return start + (floor - start) * progress

    return factor
