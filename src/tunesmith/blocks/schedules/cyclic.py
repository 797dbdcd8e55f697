"""Up and down again and again. Smith, Cyclical Learning Rates, arXiv:1506.01186; the curves of torch's `CyclicLR`."""

from typing import Literal

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import decay_factor, heights, length, momenta, one_of, updates

MODES = ("triangular", "triangular2", "exp_range")


@SCHEDULES.add("cyclic")
def cyclic(
    steps: int,
    base: float = 0.25,
    top: float = 1.0,
    up: float | str = 0.1,
    down: float | str | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: float = 1.0,
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    peak: float | None = None,
) -> Schedule:
    """`base` + (`top` - `base`) h, h rising from 0 to 1 in `up` updates and falling back in `down` (default: as many).

    "triangular2" halves h after each cycle, "exp_range" takes it times `gamma`^t. `base` and `top` are rates: `peak` is
    the optimizer's; without one `top` is its peak rate. `up`, `down`: shares of the run, updates or amounts. The
    momentum, as in torch, goes the other way: `max_momentum` - (`max_momentum` - `base_momentum`) h. Base a quarter of
    the top: section 3.3 of the paper (1/3 or 1/4).

    Use: rates of a good range without a search for the best one; end the run at the foot of a cycle.

    >>> wave = cyclic(100, base=0.001, top=0.1, up=10, peak=0.1)
    >>> [round(0.1 * wave(t), 4) for t in (0, 5, 10, 20)], round(wave.momentum(5), 4)
    ([0.001, 0.0505, 0.1, 0.001], 0.85)
    """
    one_of(mode, MODES, "cyclic got mode")
    rise = updates(up, length(steps), "up")
    total = rise + (rise if down is None else updates(down, steps, "down"))
    low, high = heights((base, top), peak, "base and top", 2)
    shrink, (least, most) = decay_factor(gamma), momenta(base_momentum, max_momentum)

    def height(t: Steps, m: Maths) -> Value:
        into = t % total
        part = m.minimum(into / rise, (total - into) / (total - rise))
        if mode == "triangular2":
            return part * 0.5 ** (t // total)
        return part * shrink**t if mode == "exp_range" else part

    momentum = Curve(lambda t, m: most - (most - least) * height(t, m))
    return Curve(lambda t, m: low + (high - low) * height(t, m), momentum=momentum)
