"""A drop at each milestone; the curve of torch's `MultiStepLR`. Usual marks: He et al., arXiv:1512.03385, section
4.2."""

from collections.abc import Sequence

from tunesmith.blocks.schedules import SCHEDULES, Schedule, decay_factor, updates


@SCHEDULES.add("multi_step")
def multi_step(steps: int, milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1) -> Schedule:
    """Times `gamma` from each milestone on, one named twice counts twice. Shares of the run, or updates.

    >>> stairs = multi_step(100)
    >>> [round(stairs(t), 3) for t in (49, 50, 75)]
    [1.0, 0.1, 0.01]
    """
    marks, drop = [updates(mark, steps, "milestones") for mark in milestones], decay_factor(gamma)

    def factor(step: int) -> float:
        return drop ** sum(step >= mark for mark in marks)

    return factor
