"""Judges a program by its own loss, row by row, where its task is not one that a metric is known for."""

from typing import Any

import numpy as np

from tunesmith.autopilot.judging import LEVEL, RESAMPLES, Gain, Heights
from tunesmith.blocks.metrics.bootstrap import chance_above, draws, percentiles

Array = np.ndarray[Any, Any]


class Losses(Heights):
    """As `Scorer`, of predictions that are the losses of the rows, (N,): their mean is the score, less is better."""

    name, better, kind = "loss", "min", ""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def score(self, losses: Array) -> float:
        """Their mean."""
        return float(np.mean(losses))

    def gain(self, new: Array, old: Array, seed: int = 0) -> Gain:
        """New against old by a paired bootstrap over the rows, as `Scorer.gain`.

        >>> Losses(4).gain(np.array([0.1, 0.2, 0.1, 0.2]), np.array([0.3, 0.4, 0.3, 0.4])).chance
        1.0
        """
        less = np.asarray(old, np.float64) - np.asarray(new, np.float64)
        if not np.isfinite(less).all():
            return Gain(float("nan"), float("nan"), float("nan"), 0.0)
        found = np.array([float(less @ counts) / len(less) for counts in draws(len(less), RESAMPLES, seed)])
        return Gain(float(less.mean()), *percentiles(found, LEVEL), chance_above(found))

    def interval(self, losses: Array, count: int, seed: int) -> tuple[float, float]:
        """The percentile interval of the mean."""
        each = np.asarray(losses, np.float64)
        return percentiles(
            np.array([float(each @ counts) / len(each) for counts in draws(len(each), count, seed)]), 0.95
        )
