"""A constant ratio from update to update; the curve of torch's `ExponentialLR` and of TensorFlow's
`exponential_decay`."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import decay_factor, length, updates

LAST = 0.01  # assumption: the factor at the end of the run where no ratio is given


@SCHEDULES.add("exponential")
def exponential(steps: int, gamma: float | None = None, every: float | str = 1, staircase: bool = False) -> Schedule:
    """Times `gamma` each `every` updates, smoothly or in stairs; without a `gamma`, 0.01 at step `steps`.

    `gamma`^(t / `every`); in stairs `gamma`^⌊t / `every`⌋. It never ends. Two things that guides give for it are
    others: lr^1.0001 at each step is lr0^(1.0001^n), a double exponential; sin(lr) at each step is 1 / √(1/lr0² +
    n/3), a root.

    Use: where each epoch should count the same share; for a fixed length cosine or linear end better.

    >>> [round(exponential(100)(t), 3) for t in (0, 50, 100)]
    [1.0, 0.1, 0.01]
    """
    span = updates(every, length(steps), "every")
    ratio = LAST ** (span / steps) if gamma is None else decay_factor(gamma)
    return Curve(lambda t, m: ratio ** (t // span if staircase else t / span))
