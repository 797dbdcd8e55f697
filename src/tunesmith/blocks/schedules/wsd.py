"""Warm-up, stable, decay: the peak rate, then a short way down. Hu et al., MiniCPM, arXiv:2404.06395, section 4.

Shapes of the decay: Hägele et al., arXiv:2405.18392, section 3 ("1-sqrt" is theirs). This is the form of transformers
(`get_wsd_schedule`); the form of the paper, by half-lives, is `wsd_minicpm`. transformers starts its warm-up at
the floor too: `warmup_start` = `floor`.
"""

import math
from collections.abc import Callable
from typing import Literal

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import length, level, one_of, updates

REMAINS: dict[str, Callable[[Value, Maths], Value]] = {  # of the rate, after a share of the decay
    "linear": lambda gone, m: 1 - gone,
    "cosine": lambda gone, m: (1 + m.cos(math.pi * gone)) / 2,
    "1-sqrt": lambda gone, m: 1 - m.sqrt(gone),
}


@SCHEDULES.add("wsd")
def wsd(
    steps: int, decay: float | str = 0.1, floor: float = 0.0, shape: Literal["linear", "cosine", "1-sqrt"] = "1-sqrt"
) -> Schedule:
    """Factor 1, and over the last `decay` updates, share of the run or amount, down to `floor`.

    Use: where the end of the run is not known yet: any weights of the stable part can be branched into a decay. About a
    tenth of the run suffices for it.

    >>> [wsd(100, decay=0.2, shape="linear")(t) for t in (0, 80, 90, 100)]
    [1.0, 1.0, 0.5, 0.0]
    """
    one_of(shape, tuple(REMAINS), "wsd got shape")
    end, low, remains = length(steps), level(floor, "floor"), REMAINS[shape]
    span = min(updates(decay, end, "decay"), end)
    start = end - span

    def factor(t: Steps, m: Maths) -> Value:
        return low + (1 - low) * remains(m.minimum(m.maximum(t - start, 0) / span, 1.0), m)

    return Curve(factor)
