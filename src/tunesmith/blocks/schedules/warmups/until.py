"""A small rate until a condition holds. He et al., arXiv:1512.03385, section 4.2: 0.01 until the training error is below
80 % (about 400 updates), then 0.1 and on with the usual schedule."""

import math

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.history import History, Watched, seen
from tunesmith.blocks.schedules.units import length
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.blocks.schedules.warmups.constant import SMALL
from tunesmith.blocks.schedules.warmups.rising import Start, first
from tunesmith.records import RecipeError

BELOW = 0.8  # He et al.: a training error of 80 %


@WARMUPS.add("until")
def until(
    steps: int,
    start: Start = "auto",
    watches: str = "train_error",
    below: float | None = None,
    above: float | None = None,
) -> Schedule:
    """`start` (auto: 0.1) until an evaluation finds `watches` under `below` or over `above`, at most W updates; then 1.

    Without either mark it is `below` = 0.8. Joined to a schedule, the schedule begins when the warm-up is over. A value
    that is NaN ends nothing. Joined "after", a schedule made for the updates after W ends as much earlier as the
    warm-up did; join it "over" where it is to end with the run. A pure function of the step and the history, so a
    resumed run warms up no second time.

    Use: a very deep network that needs a small rate for a time nobody knows beforehand.

    >>> from tunesmith.blocks.schedules import Judged
    >>> small = until(1000)
    >>> errors = [Judged(100, 0.95), Judged(200, 0.75)]
    >>> [small(t, errors) for t in (0, 199, 200)], small(999), small(1000)
    ([0.1, 0.1, 1.0], 0.1, 1.0)
    """
    span, low = length(steps, 0), first(start, SMALL)
    if below is None and above is None:
        below = BELOW
    for mark in (below, above):
        if mark is not None and (isinstance(mark, bool) or not isinstance(mark, int | float) or math.isnan(mark)):
            raise RecipeError(f"until got the mark {mark!r}: a number was expected, for example below = 0.8")
    if not span:
        return Curve(lambda t, m: 1.0)

    def ended(step: int, history: History) -> int | None:
        reached = (
            one.step
            for one in seen(history, step, watches)
            if (below is not None and one.value < below) or (above is not None and one.value > above)
        )
        return min(reached, default=None)

    def factor(step: int, history: History) -> float:
        return low if step < span and ended(step, history) is None else 1.0

    return Watched(factor, watches, warmup=span, ended=ended)
