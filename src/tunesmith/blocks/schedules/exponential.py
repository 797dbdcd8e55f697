"""A constant ratio from update to update; the curve of torch's `ExponentialLR` and of TensorFlow's
`exponential_decay`."""

from tunesmith.blocks.schedules import SCHEDULES, Schedule, decay_factor

LAST = 0.01  # assumption: the factor at the end of the run where no ratio is given


@SCHEDULES.add("exponential")
def exponential(steps: int, gamma: float | None = None, every: int = 1, staircase: bool = False) -> Schedule:
    """Times `gamma` each `every` updates, smoothly or in stairs; without a `gamma`, 0.01 at step `steps`.

    >>> [round(exponential(100)(t), 3) for t in (0, 50, 100)]
    [1.0, 0.1, 0.01]
    """
    ratio = LAST ** (every / steps) if gamma is None else decay_factor(gamma)

    def factor(step: int) -> float:
        return float(ratio ** (step // every if staircase else step / every))

    return factor
