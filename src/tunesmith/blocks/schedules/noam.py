"""The schedule of the Transformer, its warm-up within. Vaswani et al., arXiv:1706.03762, eq. 3."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import above_zero, length, updates


@SCHEDULES.add("noam")
def noam(steps: int, width: int = 512, warmup: float | str = 0.1, peak: float | None = None) -> Schedule:
    """`width`^-½ min(s^-½, s W^-³ᐟ²) / `peak` with s = t + 1: up in a straight line, then one over the square root.

    The rates of the paper are absolute: `peak` is the rate of the optimizer they are to come out with. Without one,
    their highest, (`width` W)^-½ at t = W - 1, is the peak, and the curve is that of a linear warm-up before
    `inverse_sqrt`. W = `warmup` is a share of the run, updates or an amount (paper: 4000 updates); in a recipe it is
    `schedule.warmup` where that is given, and no other warm-up is joined.

    Use: to repeat the paper; its rates go by `width` and are meant for Adam with beta2 0.98.

    >>> curve = noam(100_000, warmup=4000)
    >>> [round(curve(t), 4) for t in (0, 3999, 15999)]
    [0.0003, 1.0, 0.5]
    >>> round(noam(100_000, warmup=4000, peak=1.0)(3999), 6)
    0.000699
    """
    span, d = updates(warmup, length(steps), "warmup"), above_zero(width, "width")
    scale = span**0.5 if peak is None else d**-0.5 / above_zero(peak, "peak")
    steepness = span**-1.5

    def factor(t: Steps, m: Maths) -> Value:
        s = t + 1
        return scale * m.minimum(1 / m.sqrt(s), s * steepness)

    return Curve(factor, warmup=span)
