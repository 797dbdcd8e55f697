"""The peak rate throughout."""

from tunesmith.blocks.schedules import SCHEDULES, Schedule


@SCHEDULES.add("constant")
def constant(steps: int = 1) -> Schedule:
    """Factor 1 at every step.

    >>> constant()(1000)
    1.0
    """

    def factor(step: int) -> float:
        return 1.0

    return factor
