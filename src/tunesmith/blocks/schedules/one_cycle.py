"""Up and down once. Smith & Topin, Super-Convergence, arXiv:1708.07120; the curve of torch's `OneCycleLR`."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.units import above_zero, length, momenta, one_of, updates

SHAPES = ("cosine", "linear")


@SCHEDULES.add("one_cycle")
def one_cycle(
    steps: int,
    rise: float | str = 0.3,
    start: float = 25.0,
    end: float = 1e4,
    shape: Literal["cosine", "linear"] = "cosine",
    three_phase: bool = False,
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
) -> Schedule:
    """Factor 1/`start` at step 0, 1 at step `rise` * `steps` - 1, 1/`start`/`end` from step `steps` - 1 on.

    With `three_phase` the way down first mirrors the way up. `rise` is a share of the run, updates or an amount. The
    momentum goes the other way, from `max_momentum` to `base_momentum` and back.

    Use: SGD at up to ten times the usual rate, for a quick training of known length; it holds its own warm-up.

    >>> cycle = one_cycle(100)
    >>> [round(cycle(step), 6) for step in (0, 29, 99, 500)], cycle.momentum(29)
    ([0.04, 1.0, 4e-06, 4e-06], 0.85)
    """
    one_of(shape, SHAPES, "one_cycle got shape")
    run = length(steps)
    share = isinstance(rise, float) and 0 < rise < 1
    top = float(rise * run if share else updates(rise, run, "rise")) - 1
    low = 1 / above_zero(start, "start")
    last, (least, most) = low / above_zero(end, "end"), momenta(base_momentum, max_momentum)
    middle = [(2 * top, low, most)] if three_phase else []
    corners = [(0.0, low, most), (top, 1.0, least), *middle, (run - 1.0, last, most)]
    momentum = through([(at, speed) for at, _, speed in corners], shape)
    rates = through([(at, rate) for at, rate, _ in corners], shape).formula
    return Curve(rates, momentum=momentum, warmup=max(math.ceil(top), 0))


def through(corners: Sequence[tuple[float, float]], shape: str) -> Curve:
    """A curve from corner to corner; a way without length is left out, and the last value stands after the end."""
    ways = [(left, right) for left, right in pairwise(corners) if right[0] > left[0]]
    ends = [right[0] for _, right in ways]
    table = [(left[0], right[0] - left[0], left[1], right[1] - left[1]) for left, right in ways]
    table.append((0.0, math.inf, corners[-1][1], 0.0))
    columns = list(zip(*table, strict=True))

    def factor(t: Steps, m: Maths) -> Value:
        way = m.passed(ends, t)
        start, span, first, change = (m.pick(column, way) for column in columns)
        gone = (t - start) / span
        return first + change * (gone if shape == "linear" else (1 - m.cos(math.pi * gone)) / 2)

    return Curve(factor)
