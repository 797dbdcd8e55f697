"""Metrics of numbers; several target columns count alike, and what is missing (NaN) of a target is left out."""

from collections.abc import Callable

import numpy as np

from tunesmith.blocks.metrics.definition import METRICS, Metric
from tunesmith.blocks.metrics.judged import NUMBER_KINDS, Array, Judged, mean


def _error(judged: Judged) -> Array:
    return np.asarray(judged.target.astype(np.float64) - judged.prediction.astype(np.float64))


def _squares(judged: Judged) -> Array:
    return _error(judged) ** 2


def _missing(judged: Judged) -> Array:
    """Where the target has no number."""
    return np.isnan(judged.target.astype(np.float64))


def _by_column(value: Callable[[Judged, Array], float], judged: Judged, weight: Array) -> float:
    """The mean over the columns of a metric of the rows that each of them has."""
    found = []
    for missing, target, prediction in zip(judged.once(_missing).T, judged.target.T, judged.prediction.T, strict=True):
        rows = ~missing & (weight > 0)
        column = Judged("regression", target[rows], prediction[rows]) if rows.any() else None
        found.append(np.nan if column is None else value(column, weight[rows]))
    return mean(np.array(found))


def r2(judged: Judged, weight: Array) -> float:
    """1 - Σ w (y - f)² / Σ w (y - ȳ)², undefined for a constant column."""
    if judged.once(_missing).any():
        return _by_column(r2, judged, weight)
    target = judged.target.astype(np.float64)
    centre = weight @ target / weight.sum()
    spread = weight @ (target - centre) ** 2
    rest = weight @ judged.once(_squares)
    constant = (target.max(axis=0) == target.min(axis=0)) | (spread <= 0)
    return mean(np.where(constant, np.nan, 1 - rest / np.where(constant, 1.0, spread)))


def distance(judged: Judged) -> Array:
    """Of each row, over the columns it has."""
    error = np.abs(_error(judged))
    missing = judged.once(_missing)
    if not missing.any():
        return np.asarray(error.mean(axis=1))
    return np.asarray(np.where(missing, 0.0, error).sum(axis=1) / np.maximum((~missing).sum(axis=1), 1))


def rmse(judged: Judged, weight: Array) -> float:
    """The root for each column, then the mean over columns."""
    if judged.once(_missing).any():
        return _by_column(rmse, judged, weight)
    return float(np.sqrt(weight @ judged.once(_squares) / weight.sum()).mean())


METRICS.add("r2")(Metric("r2", "max", NUMBER_KINDS, r2))
METRICS.add("mae")(Metric("mae", "min", NUMBER_KINDS, rows=distance))
METRICS.add("rmse")(Metric("rmse", "min", NUMBER_KINDS, rmse))
