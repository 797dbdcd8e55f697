"""One over the square root of the time. Vaswani et al., arXiv:1706.03762, eq. 3; the curve of transformers and
big_vision after their warm-up."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import length, updates


@SCHEDULES.add("inverse_sqrt")
def inverse_sqrt(steps: int, timescale: float | str = 0.1) -> Schedule:
    """sqrt(s / (s + t)) with the time scale s, a share of the run, updates or an amount; a recipe's warm-up is its scale.

    Use: runs without a fixed end, and pretraining to be gone on with; `wsd` ends better once an end is known.

    >>> [inverse_sqrt(1000)(t) for t in (0, 300, 1500)]
    [1.0, 0.5, 0.25]
    """
    scale = updates(timescale, length(steps), "timescale")  # default 0.1: assumption
    return Curve(lambda t, m: m.sqrt(scale / (scale + t)))
