"""Which rate is best at each size, and whether it carries from one to the next.

At each size the losses of one seed by the logarithm of the factor on the rate; where the smallest lies inside, a parabola through it and
its neighbours gives the place of the minimum, else the edge is named as such. Over sizes the slope of log2 of the best factor by log2
of the width is fitted by least squares, its error from the spread of the seeds and of the fit: 0 carries over, -1 is the law of
Adam's hidden weights in the usual parametrisation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from tunesmith.scaling.laws import Between
from tunesmith.scaling.rungs import Climbed

WITHIN = 1.0  # doublings of the rate over the ladder: it carries over within a factor of two


@dataclass(frozen=True, slots=True)
class Best:
    """The best factor on the rate at one width; `edge` where it is the smallest or the largest that was tried."""

    width: int
    factor: float
    edge: str  # "", "smallest" or "largest"
    each: tuple[float, ...]  # of each seed


@dataclass(frozen=True, slots=True)
class Carry:
    """The best factors by width, and the slope of their logarithm with its interval; `whole` is the ladder's width in doublings."""

    best: tuple[Best, ...]
    slope: Between | None
    whole: float

    @property
    def carries(self) -> bool | None:
        """Whether the rate stays within a factor of two over the ladder; None where that is not known."""
        if self.slope is None or any(one.edge for one in self.best):
            return None
        if max(abs(self.slope.low), abs(self.slope.high)) * self.whole <= WITHIN:
            return True
        found = [math.log2(one.factor) for one in self.best]
        return False if self.slope.low > 0 or self.slope.high < 0 or max(found) - min(found) > WITHIN else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "best": [{"width": one.width, "factor": one.factor, "edge": one.edge} for one in self.best],
            "slope": None if self.slope is None else self.slope.as_list(),
            "carries": self.carries,
        }


def carry(found: Sequence[Climbed]) -> Carry | None:
    """From the trainings on all rows; None where fewer than three factors or two widths were tried."""
    whole = [one for one in found if one.rung.share == max(each.rung.share for each in found)]
    widths = sorted({one.rung.width for one in whole})
    bests, points = [], []
    for width in widths:
        here = [one for one in whole if one.rung.width == width]
        each = []
        edges = []
        for seed in sorted({one.rung.seed for one in here}):
            tried = sorted((one.rung.factor, one.loss) for one in here if one.rung.seed == seed)
            if len(tried) < 3 or all(loss is None for _, loss in tried):
                continue
            factor, edge = smallest(
                [one for one, _ in tried], [math.inf if loss is None else loss for _, loss in tried]
            )
            each.append(factor)
            edges.append(edge)
            points.append((math.log2(width), math.log2(factor)))
        if each:
            edge = next((one for one in edges if one), "")
            bests.append(Best(width, float(np.exp2(np.mean(np.log2(each)))), edge, tuple(each)))
    if len(bests) < 2:
        return None
    return Carry(tuple(bests), slope_of(points), math.log2(bests[-1].width / bests[0].width))


def smallest(factors: Sequence[float], losses: Sequence[float]) -> tuple[float, str]:
    """Where the loss is smallest, by a parabola in the logarithm of the factor, and at which edge it lies.

    >>> smallest([0.5, 1.0, 2.0], [1.0, 0.0, 1.0]), smallest([1.0, 2.0, 4.0], [3.0, 2.0, 1.0])
    ((1.0, ''), (4.0, 'largest'))
    """
    place = int(np.argmin(losses))
    if place == 0:
        return factors[0], "smallest"
    if place == len(factors) - 1:
        return factors[-1], "largest"
    x = np.log2(factors[place - 1 : place + 2])
    y = np.asarray(losses[place - 1 : place + 2])
    if not np.isfinite(y).all():
        return factors[place], ""
    curve = np.polyfit(x - x[1], y, 2)
    at = float(np.clip(-curve[1] / (2 * curve[0]), x[0] - x[1], x[2] - x[1])) if curve[0] > 0 else 0.0
    return float(2 ** (x[1] + at)), ""


def slope_of(points: Sequence[tuple[float, float]], level: float = 0.95) -> Between | None:
    """The slope through points with its interval by Student's distribution.

    None for fewer than three points, for one place, and for one height, whose error is not known.
    """
    if len(points) < 3:
        return None
    x, y = np.array(points).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    fit = stats.linregress(x, y)
    wide = float(stats.t.ppf((1 + level) / 2, len(points) - 2)) * float(fit.stderr)
    return Between(float(fit.slope), float(fit.slope) - wide, float(fit.slope) + wide)
