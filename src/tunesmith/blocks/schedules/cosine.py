"""Half-cosine decay. Loshchilov & Hutter, SGDR, arXiv:1608.03983, eq. 5 (one cycle)."""

import math

from tunesmith.blocks.schedules import SCHEDULES, Schedule


@SCHEDULES.add("cosine")
def cosine(steps: int, floor: float = 0.0) -> Schedule:
    """Factor 1 at step 0, `floor` from step `steps` on.

    >>> half = cosine(100)
    >>> [round(half(step), 3) for step in (0, 50, 100, 500)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def factor(step: int) -> float:
        progress = min(step / steps, 1.0)
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    return factor
