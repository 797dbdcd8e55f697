"""A number with its interval, and the spread of a mean over rows and over refits.

Rows with equal inputs count as one draw (a cluster). Refits are left out in up to `BLOCKS` blocks (the jackknife), so that a statistic
need not be a mean. The variances of the two add: what rows and refits do together is then counted twice, which errs on the wide side
(Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007, section 4).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.data.spec import Array

BLOCKS = 20  # of refits; assumption: more changes the spread by less than its own error


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """An estimate and the ends of its interval; the ends are nan where there is too little to tell them from."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of an estimate and its degrees of freedom."""

    variance: float
    freedom: float


def number(value: float, spreads: list[Spread], level: float, *, positive: bool = False) -> Number:
    """An estimate with Student's interval; the degrees of freedom of a sum of variances are Satterthwaite's (Biometrics 2, 1946).

    That of a variance (`positive`) is taken on the scale of its logarithm: few refits give it a long tail upwards.

    >>> number(1.0, [Spread(0.01, 1e9)], 0.95)
    Number(value=1.0, low=0.804..., high=1.195...)
    """
    from scipy.special import stdtrit  # comes with scikit-learn

    total = sum(one.variance for one in spreads)
    if not math.isfinite(total):
        return Number(value=value, low=math.nan, high=math.nan)
    if total <= 0:
        return Number(value=value, low=value, high=value)
    freedom = total**2 / sum(one.variance**2 / one.freedom for one in spreads if one.variance > 0)
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(total)
    if positive and value > 0:
        factor = math.exp(min(half / value, 700.0))
        return Number(value=value, low=value / factor, high=value * factor)
    return Number(value=value, low=value - half, high=value + half)


def over_rows(values: Array, units: Array) -> Spread:
    """Of the mean of `values` (N,) over rows, of which those of one unit (N,) are one draw.

    >>> spread = over_rows(np.array([0.0, 1.0, 0.0, 1.0]), np.arange(4))
    >>> round(spread.variance * 4, 4), spread.freedom  # the variance of the four, and one less than four
    (0.3333, 3)
    """
    count = int(units.max()) + 1 if len(units) else 0
    if count < 2:
        return Spread(math.nan, 1.0)
    apart = np.bincount(units, values - values.mean(), count)
    return Spread(float(count / (count - 1) * (apart**2).sum() / len(values) ** 2), count - 1)


def over_refits(predictions: Array, statistic: Callable[[Array], float], fewest: int) -> Spread:
    """Of `statistic` of predictions (R, N, …) that are independent from refit to refit; `fewest` refits are what it needs."""
    count = len(predictions)
    blocks = np.array_split(np.arange(count), min(count, BLOCKS))
    if count < 2 or count - max(len(block) for block in blocks) < fewest:
        return Spread(math.nan, 1.0)
    without = np.array([statistic(np.delete(predictions, block, axis=0)) for block in blocks])
    return Spread(
        float((len(blocks) - 1) / len(blocks) * ((without - without.mean()) ** 2).sum()), float(len(blocks) - 1)
    )
