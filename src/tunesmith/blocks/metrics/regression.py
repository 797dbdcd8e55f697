"""Metrics of numbers; several target columns count alike, and what is missing (NaN) of a target is left out."""

import numpy as np

from tunesmith.blocks.metrics.definition import METRICS, Metric
from tunesmith.blocks.metrics.judged import NUMBER_KINDS, Array, Judged, mean


def _error(judged: Judged) -> Array:
    return np.asarray(judged.target.astype(np.float64) - judged.prediction.astype(np.float64))


def _squares(judged: Judged) -> Array:
    """Squared errors, 0 where the target has no number."""
    return np.where(judged.once(_missing), 0.0, _error(judged) ** 2)


def _missing(judged: Judged) -> Array:
    """Where the target has no number."""
    return np.isnan(judged.target.astype(np.float64))


def _there(judged: Judged) -> Array:
    """1 where the target has a number, 0 elsewhere."""
    return (~judged.once(_missing)).astype(np.float64)


def _filled(judged: Judged) -> Array:
    """The target, 0 where it has no number."""
    return np.where(judged.once(_missing), 0.0, judged.target.astype(np.float64))


def _mass(judged: Judged, weight: Array) -> Array:
    """(K,) the weight of the rows that each column has, nan where it has none."""
    mass = weight @ judged.once(_there)
    return np.where(mass > 0, mass, np.nan)


def _constant(judged: Judged, weight: Array) -> Array:
    """(K,) whether a column has one value alone in the rows that count."""
    target, rows = judged.once(_filled), (weight > 0)[:, None] & ~judged.once(_missing)
    highest = np.where(rows, target, -np.inf).max(axis=0)
    return np.asarray(highest <= np.where(rows, target, np.inf).min(axis=0))


def r2(judged: Judged, weight: Array) -> float:
    """1 - Σ w (y - f)² / Σ w (y - ȳ)² of each column, undefined for a constant one; the mean over columns."""
    target = judged.once(_filled)
    centre = weight @ target / _mass(judged, weight)
    spread = weight @ (judged.once(_there) * (target - centre) ** 2)
    rest = weight @ judged.once(_squares)
    undefined = _constant(judged, weight) | ~(spread > 0)
    return mean(np.where(undefined, np.nan, 1 - rest / np.where(undefined, 1.0, spread)))


def distance(judged: Judged) -> Array:
    """Of each row, over the columns it has."""
    error = np.abs(_error(judged))
    missing = judged.once(_missing)
    if not missing.any():
        return np.asarray(error.mean(axis=1))
    return np.asarray(np.where(missing, 0.0, error).sum(axis=1) / np.maximum((~missing).sum(axis=1), 1))


def rmse(judged: Judged, weight: Array) -> float:
    """The root for each column, then the mean over columns."""
    return mean(np.sqrt(weight @ judged.once(_squares) / _mass(judged, weight)))


METRICS.add("r2")(Metric("r2", "max", NUMBER_KINDS, r2))
METRICS.add("mae")(Metric("mae", "min", NUMBER_KINDS, rows=distance))
METRICS.add("rmse")(Metric("rmse", "min", NUMBER_KINDS, rmse))
