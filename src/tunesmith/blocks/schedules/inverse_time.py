"""One over the time: TensorFlow's `inverse_time_decay`; the rates of stochastic approximation (Robbins & Monro, 1951)."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import above_zero, length, updates


@SCHEDULES.add("inverse_time")
def inverse_time(steps: int, rate: float = 1.0, every: float | str = 0.1, staircase: bool = False) -> Schedule:
    """1 / (1 + `rate` t / `every`), in stairs 1 / (1 + `rate` ⌊t / `every`⌋).

    `every` is a share of the run, updates or an amount. The defaults, 1/11 at the end of the run, are an assumption.

    Use: convex problems and runs without a fixed end; networks of a fixed length end better with cosine or linear.

    >>> [inverse_time(100, every=10)(t) for t in (0, 10, 30)]
    [1.0, 0.5, 0.25]
    """
    span, k = updates(every, length(steps), "every"), above_zero(rate, "rate")
    return Curve(lambda t, m: 1 / (1 + k * (t // span if staircase else t / span)))
