"""Metrics of numbers; several target columns count alike."""

import numpy as np

from tunesmith.blocks.metrics.definition import METRICS, Metric
from tunesmith.blocks.metrics.judged import NUMBER_KINDS, Array, Judged, mean


def _error(judged: Judged) -> Array:
    return np.asarray(judged.target.astype(np.float64) - judged.prediction.astype(np.float64))


def _squares(judged: Judged) -> Array:
    return _error(judged) ** 2


def r2(judged: Judged, weight: Array) -> float:
    """1 - Σ w (y - f)² / Σ w (y - ȳ)², undefined for a constant column."""
    target = judged.target.astype(np.float64)
    centre = weight @ target / weight.sum()
    spread = weight @ (target - centre) ** 2
    rest = weight @ judged.once(_squares)
    constant = (target.max(axis=0) == target.min(axis=0)) | (spread <= 0)
    return mean(np.where(constant, np.nan, 1 - rest / np.where(constant, 1.0, spread)))


def distance(judged: Judged) -> Array:
    return np.asarray(np.abs(_error(judged)).mean(axis=1))


def rmse(judged: Judged, weight: Array) -> float:
    """The root for each column, then the mean over columns."""
    return float(np.sqrt(weight @ judged.once(_squares) / weight.sum()).mean())


METRICS.add("r2")(Metric("r2", "max", NUMBER_KINDS, r2))
METRICS.add("mae")(Metric("mae", "min", NUMBER_KINDS, rows=distance))
METRICS.add("rmse")(Metric("rmse", "min", NUMBER_KINDS, rmse))
