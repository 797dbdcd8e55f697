"""Robust readings of a noisy curve: its noise, its trend, its steps, the place from which it is flat. NumPy alone."""

import numpy as np

from tunesmith.runs.history import Floats

MAD = 1.4826  # of a normal distribution
SECOND = 1.5  # variance of y[i] - (y[i-1] + y[i+1]) / 2 over that of the noise


def noise(values: Floats) -> float:
    """The standard deviation of a point about a smooth course, from second differences; 0 for fewer than three points.

    >>> round(noise(np.linspace(3, 1, 50)), 9)
    0.0
    """
    if len(values) < 3:
        return 0.0
    off = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    return float(MAD * np.median(off) / SECOND**0.5)


def smooth(values: Floats, width: int = 3) -> Floats:
    """The running median; narrower at the ends, so that nothing is invented there."""
    half = width // 2
    if half < 1 or len(values) < width:
        return values
    inner = np.median(np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1), axis=1)
    return np.concatenate([values[:half], inner, values[-half:]])


def blocks(at: Floats, values: Floats, count: int) -> tuple[Floats, Floats, int]:
    """At most `count` medians over stretches of equal numbers of points, and the number in each."""
    each = max(1, -(-len(values) // count))
    if each == 1:
        return at, values, 1
    whole = len(values) // each * each
    middle = [np.median(values[:whole].reshape(-1, each), axis=1)]
    places = [at[:whole].reshape(-1, each).mean(1)]
    if len(values) - whole > each // 2:  # a short rest is too noisy to be a point
        middle.append(np.array([np.median(values[whole:])]))
        places.append(np.array([at[whole:].mean()]))
    return np.concatenate(places), np.concatenate(middle), each


def slope(at: Floats, values: Floats) -> float:
    """Theil and Sen: the median of the slopes of all pairs; 0 for fewer than two points."""
    if len(values) < 2:
        return 0.0
    first, second = np.triu_indices(len(values), 1)
    run = at[second] - at[first]
    kept = run > 0
    return float(np.median((values[second] - values[first])[kept] / run[kept])) if kept.any() else 0.0


def isotonic(values: Floats) -> Floats:
    """The nearest curve that never rises (pool adjacent violators, least squares).

    >>> isotonic(np.array([3.0, 1.0, 2.0, 0.0])).tolist()
    [3.0, 1.5, 1.5, 0.0]
    """
    means: list[float] = []
    counts: list[int] = []
    for value in values:
        means.append(float(value))
        counts.append(1)
        while len(means) > 1 and means[-2] < means[-1]:
            both = counts[-2] + counts[-1]
            means[-2] = (means[-2] * counts[-2] + means[-1] * counts[-1]) / both
            counts[-2] = both
            del means[-1], counts[-1]
    return np.repeat(np.array(means), counts)


def step(values: Floats, least: int = 3) -> tuple[int, float]:
    """Where one step explains the curve best, and the share of its squares that the step explains. Index 0 is none."""
    size = len(values)
    if size < 2 * least:
        return 0, 0.0
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 0:
        return 0, 0.0
    sums = np.cumsum(values)
    cut = np.arange(least, size - least + 1)
    left, right = sums[cut - 1] / cut, (sums[-1] - sums[cut - 1]) / (size - cut)
    gained = cut * (size - cut) / size * (left - right) ** 2
    best = int(np.argmax(gained))
    return int(cut[best]), float(gained[best] / total)


def flat_from(values: Floats, band: float) -> int:
    """The first index from which the running median stays within `band` of the level of the last third."""
    tail = float(np.median(values[-max(2, len(values) // 3) :]))
    outside = np.flatnonzero(np.abs(smooth(values) - tail) > band)
    return int(outside[-1]) + 1 if len(outside) else 0
