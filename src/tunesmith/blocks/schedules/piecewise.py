"""Constant pieces: TensorFlow 1's `piecewise_constant`, where a boundary still belongs to the piece on its left."""

from collections.abc import Sequence

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import heights, length, marks_of


@SCHEDULES.add("piecewise")
def piecewise(
    steps: int,
    boundaries: Sequence[float | str] = (0.5, 0.75),
    values: Sequence[float] = (1.0, 0.1, 0.01),
    peak: float | None = None,
) -> Schedule:
    """`values`[0] while t <= b[0], `values`[i] while b[i-1] < t <= b[i], the last one after the last boundary.

    **Right-closed**: at t = b the rate is still the left one. torch's MultiStepLR (`multi_step`), object_detection
    (`manual_stepping`) and detectron2 change AT the boundary. Boundaries rise; they are shares of the run, updates or
    amounts. `values` are rates: `peak` is the optimizer's; without one the highest of them is its peak rate.

    Use: to repeat a table of rates; for drops by one ratio `multi_step`.

    >>> table = piecewise(30, boundaries=[10, 20], values=[1.0, 0.5, 0.1])
    >>> [table(t) for t in (0, 10, 11, 20, 21)]
    [1.0, 1.0, 0.5, 0.5, 0.1]
    """
    marks = marks_of(boundaries, length(steps), "boundaries", strict=True)
    table = heights(values, peak, "values", len(marks) + 1)
    return Curve(lambda t, m: m.pick(table, m.passed(marks, t)))
