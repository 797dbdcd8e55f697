"""Constant pieces that change at their boundary, the first perhaps a ramp: object_detection's `manual_stepping`."""

from collections.abc import Sequence

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import heights, length, marks_of


@SCHEDULES.add("manual_stepping")
def manual_stepping(
    steps: int,
    boundaries: Sequence[float | str] = (0.5, 0.75),
    rates: Sequence[float] = (1.0, 0.1, 0.01),
    ramp: bool = False,
    peak: float | None = None,
) -> Schedule:
    """`rates`[0] while t < b[0], `rates`[i] while b[i-1] <= t < b[i], the last one from the last boundary on.

    **Left-closed**: the change comes AT the boundary; TensorFlow's `piecewise` changes after it. With `ramp` (its
    `warmup=True`) the first piece is a straight line from `rates`[0] to `rates`[1] at b[0]. Boundaries rise; they are
    shares of the run, updates or amounts. `rates` are absolute: `peak` is the optimizer's rate; without one the
    highest of them is.

    Use: to repeat a table of rates of a detector; for drops by one ratio `multi_step`.

    >>> table = manual_stepping(10, boundaries=[4, 6, 8], rates=[0.02, 0.1, 0.01, 0.001], ramp=True, peak=1.0)
    >>> [round(table(t), 3) for t in (0, 2, 4, 5, 6, 8)]
    [0.02, 0.06, 0.1, 0.1, 0.01, 0.001]
    """
    marks = marks_of(boundaries, length(steps), "boundaries", strict=True)
    table = heights(rates, peak, "rates", len(marks) + 1)
    if not (ramp and marks):
        return Curve(lambda t, m: m.pick(table, m.reached(marks, t)))

    def factor(t: Steps, m: Maths) -> Value:
        rising = table[0] + (table[1] - table[0]) * m.minimum(t / marks[0], 1.0)
        return m.either(t < marks[0], lambda: rising, lambda: m.pick(table, m.reached(marks, t)))

    return Curve(factor, warmup=marks[0])
