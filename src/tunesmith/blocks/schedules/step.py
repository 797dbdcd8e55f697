"""A drop every so many updates; the curve of torch's `StepLR`."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import decay_factor, length, updates


@SCHEDULES.add("step")
def step(steps: int, every: float | str = 1 / 3, gamma: float = 0.1) -> Schedule:
    """Times `gamma` at each multiple of `every`, a share of the run, updates or an amount: `gamma`^⌊t / `every`⌋.

    Use: to repeat older recipes for pictures; cosine needs no marks.

    >>> stairs = step(90)
    >>> [round(stairs(t), 3) for t in (0, 29, 30, 60)]
    [1.0, 1.0, 0.1, 0.01]
    """
    size, drop = updates(every, length(steps), "every"), decay_factor(gamma)
    return Curve(lambda t, m: drop ** (t // size))
