"""Scores on the scale of the model, and epochs on the scale of its time."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEAST = 1e-3  # the smallest distance from best to median that counts as one
WORST = 1.3  # where a trial that failed is put: beyond the median, as far as those that learn nothing
HUGE = 1e100  # from here on a score is as one that is infinite: sums of such overflow
SLACK = 0.1  # of the median score, added before the logarithm; measured: benchmarks/search.md


def warp(lasts: Floats) -> Callable[[Floats], Floats]:
    """Of the latest scores of all trials: the best becomes 0, the median 1, what is beyond is drawn together.

    Logarithms where all scores are above 0, as errors and losses are, after a tenth of the median was added: what is left of an error
    near 0 counts, but not as much as the whole way there. Scores as they are, else. Infinite ones become `WORST`.

    >>> warp(np.array([0.01, 0.1, 1.0]))(np.array([0.01, 0.1, 1.0])).round(3).tolist()
    [0.0, 1.0, 1.3]
    """
    finite = lasts[np.abs(lasts) < HUGE]
    if not len(finite):
        return lambda scores: np.full(len(scores), WORST)
    slack = SLACK * float(np.median(finite))
    of = (lambda scores: np.log(scores + slack)) if finite.min() > 0 else np.asarray
    least = float(of(finite.min()))
    middle = float(np.median(of(finite)))
    unit = max(middle - least, LEAST)

    def warped(scores: Floats) -> Floats:
        known = np.abs(scores) < HUGE
        place = (of(np.where(known, scores, finite.max())) - least) / unit
        place = np.where(place > 1, 1 + np.log(np.maximum(place, 1)), place)
        return np.where(known, np.minimum(place, WORST), WORST)

    return warped


def time_left(epochs: Floats, end: int) -> Floats:
    """1 at the first epoch, 0 at the end: 1 - log(e) / log(E). All 0 where the end is the first.

    >>> time_left(np.array([1.0, 3.0, 9.0]), 9).tolist()
    [1.0, 0.5, 0.0]
    """
    if end <= 1:
        return np.zeros(len(epochs))
    left: Floats = 1 - np.log(epochs) / math.log(end)
    return left


RUNGS = (1 / 9, 1 / 5, 1 / 3, 1 / 2, 0.72, 1.0)  # measured: benchmarks/search.md


def rungs(end: int, shares: tuple[float, ...] = RUNGS) -> list[int]:
    """Where a trial is looked at: budget units, rising, the last the end.

    >>> rungs(27), rungs(2)
    ([3, 5, 9, 14, 19, 27], [1, 2])
    """
    return sorted({min(end, max(1, round(share * end))) for share in shares} | {end})


def best_and_latest(values: Floats, ids: list[int], most: int) -> list[int]:
    """Of the trials `ids`, rising, those a model looks at: all, or half of `most` with the lowest of `values`, and the latest half.

    >>> best_and_latest(np.array([5.0, 1.0, 4.0, 3.0, 2.0, 6.0]), [0, 1, 2, 3, 4, 5], 2)
    [1, 5]
    """
    if len(ids) <= most:
        return ids
    half = most // 2
    best = np.argsort(values[ids], kind="stable")[:half]
    return sorted({*(ids[place] for place in best), *ids[-half:]})


def best_so_far(scores: Floats) -> Floats:
    """(E,) the lowest finite score up to each unit; infinite before the first."""
    lowest: Floats = np.minimum.accumulate(np.where(np.isfinite(scores), scores, np.inf))
    return lowest
