"""Warm-up, stable, decay by half-lives. Hu et al., MiniCPM, arXiv:2404.06395, section 4.2: f(s - S) = 0.5^((s - S) / T).

The paper's T names both the end of the stable part and the half-life; here they are two settings.
"""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import length, updates


@SCHEDULES.add("wsd_minicpm")
def wsd_minicpm(steps: int, stable_end: float | str = 0.9, half_life: float | str = 0.02) -> Schedule:
    """Factor 1 up to step `stable_end`, then half of it after each further `half_life`; it never ends.

    Both are shares of the run, updates or amounts, counted from the schedule's own step 0. The paper's decay takes a
    tenth of the run, at a half-life of 5000 updates; the default share leaves 1/32 at the end (assumption).

    Use: as `wsd`, where the decay is to begin at a known step and the end stays open.

    >>> [wsd_minicpm(10_000, stable_end=9000, half_life=500)(t) for t in (0, 9000, 9500, 10_000)]
    [1.0, 1.0, 0.5, 0.25]
    """
    end, half = updates(stable_end, length(steps), "stable_end"), updates(half_life, steps, "half_life")
    return Curve(lambda t, m: 0.5 ** (m.maximum(t - end, 0) / half))
