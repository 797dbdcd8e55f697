"""Errors in pixels of the 96x96 picture, over the coordinates that are there, with intervals over persons.

A rung's row keeps, person by person, the sum of squared errors and the number of coordinates: all numbers below are made of those. An interval
draws persons with replacement, for pictures of one person err alike; the gain over another rung draws the same persons for both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Sums = Mapping[str, Sequence[float]]  # "sums" and "counts", a number a person, persons in the order of their names
RESAMPLES = 2000
LEVEL = 0.95


def by_person(predicted: Array, truth: Array, persons: Array) -> dict[str, list[float]]:
    """Squared errors (pixels²) and present coordinates of each person; `predicted` and `truth` are (N, 30) in pixels."""
    there = ~np.isnan(truth)
    squared = np.where(there, (predicted - np.where(there, truth, 0.0)) ** 2, 0.0).sum(axis=1, dtype=np.float64)
    _, place = np.unique(persons, return_inverse=True)
    counts = np.bincount(place, there.sum(axis=1))
    return {"sums": np.bincount(place, squared).round(4).tolist(), "counts": counts.astype(int).tolist()}


def root_mean(sums: Array, counts: Array) -> Array:
    """Σ sums / Σ counts over the last axis, and its root."""
    result: Array = np.sqrt(sums.sum(axis=-1) / counts.sum(axis=-1))
    return result


def error(parts: Sequence[Sums]) -> float:
    """The RMSE of one rung, over all its seeds."""
    return float(root_mean(*pooled(parts)))


def error_interval(parts: Sequence[Sums]) -> tuple[float, float]:
    """The 95 % interval of `error` over persons."""
    sums, counts = pooled(parts)
    return _interval(lambda drawn: root_mean(sums[drawn], counts[drawn]), len(sums))


def gain(before: Sequence[Sums], after: Sequence[Sums]) -> float:
    """By how many pixels the error falls."""
    return error(before) - error(after)


def gain_interval(before: Sequence[Sums], after: Sequence[Sums]) -> tuple[float, float]:
    """The 95 % interval of `gain`, paired by person."""
    (old, of), (new, on) = pooled(before), pooled(after)
    return _interval(lambda drawn: root_mean(old[drawn], of[drawn]) - root_mean(new[drawn], on[drawn]), len(old))


def pooled(parts: Sequence[Sums]) -> tuple[Array, Array]:
    """Sums and counts of each person, added up over seeds."""
    sums = np.sum([part["sums"] for part in parts], axis=0)
    return np.asarray(sums, dtype=np.float64), np.sum([part["counts"] for part in parts], axis=0)


def _interval(measured: Callable[[Array], Array], persons: int) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(0, persons, (RESAMPLES, persons))
    low, high = np.quantile(measured(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
