"""The decision threshold that suits a score best on given rows."""

from typing import Literal

import numpy as np

from tunesmith.blocks.metrics.judged import Array, Ranking
from tunesmith.records import DataError, UnknownName, did_you_mean

GOALS = ("f1", "accuracy", "balanced_accuracy")


def best_threshold(
    goal: Literal["f1", "accuracy", "balanced_accuracy"], yes: Array, probability: Array, weight: Array | None = None
) -> tuple[float, float]:
    """The threshold in (0, 1) with the highest score, and that score, over all ways to cut the rows.

    `yes` (N,) holds the truth, `probability` (N,) that of the positive class, which is decided at or above the threshold.
    It lies half-way between two neighbouring probabilities; of equally good cuts the one nearest to 0.5 is taken.
    """
    if goal not in GOALS:
        raise UnknownName(f"no threshold is chosen by {goal!r}{did_you_mean(goal, GOALS)}")
    truth, score = np.asarray(yes).astype(bool), np.asarray(probability)
    score = score if score.dtype == np.float32 else score.astype(np.float64)
    if not len(score) or not np.isfinite(score).all():
        raise DataError(
            f"a threshold needs probabilities, {len(score)} came, or some that are no numbers; leave it at 0.5"
        )
    each = np.ones(len(score)) if weight is None else np.asarray(weight, dtype=np.float64)
    found, false = (np.r_[0.0, np.cumsum(sums)] for sums in Ranking(truth, score).sums(each))
    cuts = _cuts(np.unique(score)[::-1])
    values = np.where((cuts > 0) & (cuts < 1), _score(goal, found, false), -np.inf)
    best = np.flatnonzero(values >= values.max() - 1e-12 * max(abs(values.max()), 1.0))  # equal up to rounding
    nearest = best[np.abs(cuts[best] - 0.5).argmin()]
    return float(cuts[nearest]), float(values[nearest])


def _cuts(falling: Array) -> Array:
    """Thresholds that decide the first 0, 1, 2 … of the distinct scores as yes, in the precision of the scores."""
    above, below = falling[:-1], falling[1:]
    half = below + (above - below) / 2
    inside = np.where(half > below, half, above)  # neighbours without a number between them
    return np.concatenate([(falling[:1] + 1) / 2, inside, falling[-1:] / 2])


def _score(goal: str, found: Array, false: Array) -> Array:
    """The goal after each cut, from the weights of yes and of no above it."""
    yes, no = found[-1], false[-1]
    if goal == "f1":
        return np.asarray(np.divide(2 * found, yes + found + false, out=np.zeros_like(found), where=found > 0))
    if goal == "accuracy":
        return np.asarray((found + no - false) / (yes + no))
    recalls = [part / whole for part, whole in ((found, yes), (no - false, no)) if whole > 0]
    return np.asarray(sum(recalls) / len(recalls))
