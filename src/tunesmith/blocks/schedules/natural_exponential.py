"""An exponential with base e: TensorFlow's `natural_exp_decay`."""

import math

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import above_zero, length, updates

LAST = 0.01  # assumption: the factor at the end of the run where no rate is given


@SCHEDULES.add("natural_exponential")
def natural_exponential(
    steps: int, rate: float | None = None, every: float | str = 1, staircase: bool = False
) -> Schedule:
    """e^(-`rate` t / `every`), in stairs e^(-`rate` ⌊t / `every`⌋); without a `rate`, 0.01 at step `steps`.

    The curve of `exponential` with gamma = e^-`rate`. With equal numbers it falls faster than that only above 0.567.
    `every` is a share of the run, updates or an amount.

    Use: to repeat a run of TensorFlow; else `exponential`.

    >>> [round(natural_exponential(1000, rate=0.5, every=100)(t), 4) for t in (0, 100, 200)]
    [1.0, 0.6065, 0.3679]
    """
    span = updates(every, length(steps), "every")
    k = -math.log(LAST) * span / steps if rate is None else above_zero(rate, "rate")
    return Curve(lambda t, m: m.exp(-k * (t // span if staircase else t / span)))
