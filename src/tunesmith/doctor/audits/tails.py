"""How far numbers lie from their middle, and whether their own tail explains it.

The robust z-score is the distance from the median in deviations by the median absolute deviation (Iglewicz & Hoaglin, How
to Detect and Handle Outliers, 1993, section 3.3, without the factor that makes it exact for small samples). A far value of a
heavy tail is none too many: between two quantiles of the distances the tail is taken for a power law (Hill, Annals of
Statistics 3 (1975)), and how many values as far it leads one to expect is counted. A tail that falls faster is overrated.
"""

from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array

LOW, HIGH = 0.9, 0.98  # quantiles between which the tail is measured; assumption: up to 2 % of the values may be faults
FEWEST = 50  # values with a distance, for a tail to be measured; assumption


@dataclass(frozen=True, slots=True)
class Tail:
    """Of one column."""

    z: Array  # (N,), 0 at gaps
    expected: Array  # (N,), how many values as far the tail explains; N where nothing is to be said
    square: Array  # (N,), share of the sum of squares after the column is standardised


def tail_of(values: Array) -> Tail:
    """Of numbers (N,), NaN for a gap.

    >>> import numpy as np
    >>> found = tail_of(np.r_[np.random.default_rng(0).standard_normal(500), 100.0])
    >>> int(found.expected.argmin()), bool(found.expected.min() < 0.05), bool(found.square.max() > 0.9)
    (500, True, True)
    """
    there = np.isfinite(values)
    count = int(there.sum())
    z, expected, square = np.zeros(len(values)), np.full(len(values), float(len(values))), np.zeros(len(values))
    if count < FEWEST:
        return Tail(z, expected, square)
    numbers = values[there].astype(np.float64)
    numbers = numbers / max(float(np.abs(numbers).max()), 1e-300)
    centred = numbers - numbers.mean()
    total = float((centred**2).sum())
    if total <= 0.0:
        return Tail(z, expected, square)
    square[there] = centred**2 / total
    middle = float(np.median(numbers))
    distance = np.abs(numbers - middle)
    moved = distance > 0
    if float(np.quantile(distance, LOW)) == 0.0:  # nearly all values are one: the others have a middle of their own
        if moved.sum() < FEWEST:
            return Tail(z, expected, square)
        middle = float(np.median(numbers[moved]))
        distance = np.where(moved, np.abs(numbers - middle), 0.0)
    some = distance[moved]
    scale = 1.4826 * float(np.median(some))
    low, high = np.quantile(some, [LOW, HIGH]).tolist()
    if high <= 0.0:
        return Tail(z, expected, square)
    z[there] = distance / max(scale, 1e-300)
    steepness = np.log((1 - LOW) / (1 - HIGH)) / max(float(np.log(high / low)), 1e-3) if low > 0 else 0.0
    beyond = len(some) * (1 - HIGH) * (np.maximum(distance, high) / high) ** -steepness
    expected[there] = np.where(distance > high, beyond, count)
    return Tail(z, expected, square)
