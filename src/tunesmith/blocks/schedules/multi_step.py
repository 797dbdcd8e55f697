"""A drop at each milestone; the curve of torch's `MultiStepLR`. Usual marks: He et al., arXiv:1512.03385, section
4.2."""

from collections.abc import Sequence

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import decay_factor, length, marks_of


@SCHEDULES.add("multi_step")
def multi_step(steps: int, milestones: Sequence[float | str] = (0.5, 0.75), gamma: float = 0.1) -> Schedule:
    """Times `gamma` from each milestone on: `gamma`^#{m <= t}. Shares of the run, updates, or amounts.

    In any order, and one named twice counts twice, as in torch; detectron2 refuses both. One beyond the end never
    comes.

    Use: pictures with SGD where the marks are known; cosine needs none.

    >>> stairs = multi_step(100)
    >>> [round(stairs(t), 3) for t in (49, 50, 75)]
    [1.0, 0.1, 0.01]
    """
    marks, drop = marks_of(milestones, length(steps), "milestones"), decay_factor(gamma)
    return Curve(lambda t, m: drop ** m.reached(marks, t))
