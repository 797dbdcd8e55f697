"""A drop every so many updates; the curve of torch's `StepLR`."""

from tunesmith.blocks.schedules import SCHEDULES, Schedule, decay_factor, updates


@SCHEDULES.add("step")
def step(steps: int, every: float = 1 / 3, gamma: float = 0.1) -> Schedule:
    """Times `gamma` at each multiple of `every`, a share of the run or updates.

    >>> stairs = step(90)
    >>> [round(stairs(t), 3) for t in (0, 29, 30, 60)]
    [1.0, 1.0, 0.1, 0.01]
    """
    size, drop = updates(every, steps, "every"), decay_factor(gamma)

    def factor(step: int) -> float:
        return drop ** (step // size)

    return factor
