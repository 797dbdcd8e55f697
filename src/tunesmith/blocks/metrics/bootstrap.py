"""How sure a metric is. Percentile bootstrap: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.definition import chosen, metric
from tunesmith.blocks.metrics.judged import Array, Judged

RESAMPLES_FOR_NOISE = 200  # a standard error then is known to 5 %: 1 / sqrt(2 * 200)


def resamples(judged: Judged, weight: Array, count: int, seed: int) -> Iterator[Array]:
    """The weights of the rows, drawn with replacement: a row drawn twice weighs twice."""
    for counts in draws(len(judged), count, seed):
        yield weight * counts


def draws(rows: int, count: int, seed: int) -> Iterator[Array]:
    """How often each of the rows is drawn with replacement, (rows,) whole numbers, `count` times."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield np.bincount(generator.integers(0, rows, rows), minlength=rows)


def intervals(
    kind: str,
    target: Array,
    prediction: Array,
    *,
    classes: Sequence[Any] | None = None,
    positive: int | None = None,
    weight: Array | None = None,
    names: Iterable[str] | None = None,
    threshold: float | None = None,
    count: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """The percentile interval of each metric over `count` resamples of the rows; (nan, nan) where it is undefined."""
    judged = Judged(kind, target, prediction, 1 if positive is None else positive, threshold)
    each = judged.weights(weight)
    metrics = chosen(kind, names, classes)
    drawn = np.array([[found(judged, rows) for found in metrics] for rows in resamples(judged, each, count, seed)])
    return {found.name: percentiles(drawn[:, column], level) for column, found in enumerate(metrics)}


def percentiles(values: Array, level: float) -> tuple[float, float]:
    """The middle `level` of the values that are numbers; (nan, nan) where none is."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def chance_above(differences: Array) -> float:
    """The share of resampled differences above 0; ties count half.

    >>> chance_above(np.array([0.2, 0.0, -0.1, 0.4]))
    0.625
    """
    return float((differences > 0).mean() + 0.5 * (differences == 0).mean())


def noise(
    name: str,
    kind: str,
    target: Array,
    prediction: Array,
    *,
    classes: Sequence[Any] | None = None,
    positive: int | None = None,
    weight: Array | None = None,
    threshold: float | None = None,
    seed: int = 0,
) -> float:
    """The standard error of a metric over the choice of the rows; nan where it is undefined.

    In closed form, sqrt(Σ w² (v - m)²) / Σ w, where the metric is a mean over rows, else by the bootstrap.
    """
    judged = Judged(kind, target, prediction, 1 if positive is None else positive, threshold)
    each = judged.weights(weight)
    found = metric(name, kind=kind, classes=classes)
    value = found(judged, each)
    if np.isnan(value):
        return float("nan")
    if found.rows is not None:
        away = found.rows(judged) - value
        return float(np.sqrt((each**2) @ away**2) / each.sum())
    drawn = np.array([found(judged, rows) for rows in resamples(judged, each, RESAMPLES_FOR_NOISE, seed)])
    defined = drawn[~np.isnan(drawn)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")
