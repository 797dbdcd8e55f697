"""Stairs up to the full rate."""

from collections.abc import Sequence

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import heights, length, marks_of
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.blocks.schedules.warmups.rising import Start, first
from tunesmith.records import RecipeError


@WARMUPS.add("multi_step")
def multi_step(
    steps: int,
    start: Start = "auto",
    stairs: int = 4,
    levels: Sequence[float] | None = None,
    milestones: Sequence[float | str] | None = None,
) -> Schedule:
    """`stairs` equal stairs from `start`, 1 after the last (auto: 1 / `stairs` to 1); or the `levels`, one after the other.

    Milestones are shares of the warm-up or updates, one fewer than there are levels; without them the stairs are
    equally long. The next level begins at its milestone, as the drops of the schedule `multi_step` do. (detectron2's
    WarmupMultiStepLR is another thing: the warm-up `linear` joined by "product" to the schedule `multi_step`.)

    Use: one rate an epoch while the network settles; else linear.

    >>> [multi_step(8)(t) for t in (0, 1, 2, 4, 6, 8)]
    [0.25, 0.25, 0.5, 0.75, 1.0, 1.0]
    >>> [multi_step(8, levels=[0.01, 0.1], milestones=[2])(t) for t in (1, 2, 7, 8)]
    [0.01, 0.1, 0.1, 1.0]
    """
    span = length(steps, 0)
    if levels is None:
        count = length(stairs)
        low = 0.0 if start == "auto" else first(start, 0.0)
        levels = [low + (1 - low) * (stair + (start == "auto")) / count for stair in range(count)]
    elif start != "auto":
        raise RecipeError(f"multi_step got start = {start!r} and levels; leave start out, the first level is the start")
    if not span:
        return Curve(lambda t, m: 1.0)
    if milestones is None:
        milestones = [max(-(-span * stair // len(levels)), 1) for stair in range(1, len(levels))]
    marks = (*marks_of(milestones, span, "milestones"), span)
    table = heights([*levels, 1.0], 1.0, "levels", len(marks) + 1)
    if marks[-2:-1] > (span,):
        raise RecipeError(
            f"milestones = {list(milestones)!r}: the warm-up ends at update {span}, before the last of them"
        )
    return Curve(lambda t, m: m.pick(table, m.reached(marks, t)))
