"""Up and down once. Smith & Topin, Super-Convergence, arXiv:1708.07120; the curve of torch's `OneCycleLR`."""

import math
from itertools import pairwise
from typing import Literal

from tunesmith.blocks.schedules import SCHEDULES, Schedule, updates
from tunesmith.records import RecipeError


@SCHEDULES.add("one_cycle")
def one_cycle(
    steps: int,
    rise: float = 0.3,
    start: float = 25.0,
    end: float = 1e4,
    shape: Literal["cosine", "linear"] = "cosine",
    three_phase: bool = False,
) -> Schedule:
    """Factor 1/`start` at step 0, 1 at step `rise` * `steps` - 1, 1/`start`/`end` from step `steps` - 1 on.

    With `three_phase` the way down first mirrors the way up. `rise` is a share of the run, or updates.

    >>> cycle = one_cycle(100)
    >>> [round(cycle(step), 6) for step in (0, 29, 99, 500)]
    [0.04, 1.0, 4e-06, 4e-06]
    """
    if shape not in ("cosine", "linear"):
        raise RecipeError(f"one_cycle got shape = {shape!r}, 'cosine' or 'linear' was expected")
    top = float(rise * steps if 0 < rise < 1 else updates(rise, steps, "rise")) - 1
    low, last = 1 / start, 1 / start / end
    corners = [(0.0, low), (top, 1.0)]
    corners += [(2 * top, low)] if three_phase else []
    corners += [(steps - 1.0, last)]

    def factor(step: int) -> float:
        for (left, above), (right, below) in pairwise(corners):
            if step <= right and right > left:
                progress = (step - left) / (right - left)
                eased = progress if shape == "linear" else (1 - math.cos(math.pi * progress)) / 2
                return above + (below - above) * eased
        return last

    return factor
