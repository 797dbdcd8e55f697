"""Warm-up, stable, decay: the peak rate, then a short way down. Hu et al., MiniCPM, arXiv:2404.06395, section 4.

Shapes of the decay: Hägele et al., arXiv:2405.18392, section 3 ("1-sqrt" is theirs).
"""

import math
from collections.abc import Callable
from typing import Literal

from tunesmith.blocks.schedules import SCHEDULES, Schedule, updates
from tunesmith.records import RecipeError

REMAINS: dict[str, Callable[[float], float]] = {  # of the rate, after a share of the decay
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "1-sqrt": lambda progress: 1 - math.sqrt(progress),
}


@SCHEDULES.add("wsd")
def wsd(
    steps: int, decay: float = 0.1, floor: float = 0.0, shape: Literal["linear", "cosine", "1-sqrt"] = "1-sqrt"
) -> Schedule:
    """Factor 1, and over the last `decay` updates, or share of the run, down to `floor`.

    >>> [wsd(100, decay=0.2, shape="linear")(t) for t in (0, 80, 90, 100)]
    [1.0, 1.0, 0.5, 0.0]
    """
    if shape not in REMAINS:
        raise RecipeError(f"wsd got shape = {shape!r}, expected one of {', '.join(REMAINS)}")
    length = min(updates(decay, steps, "decay"), steps)

    def factor(step: int) -> float:
        progress = min(max(step - (steps - length), 0) / length, 1.0)
        return floor + (1 - floor) * REMAINS[shape](progress)

    return factor
