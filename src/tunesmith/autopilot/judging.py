"""Scores of predictions on held rows, and whether one set of predictions is better than another beyond the choice of the rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.blocks import metrics
from tunesmith.blocks.metrics.bootstrap import chance_above, percentiles, resamples
from tunesmith.blocks.metrics.judged import Judged

Array = np.ndarray[Any, Any]
RESAMPLES = 400  # assumption: a chance of .9 is known to .015
LEVEL = 0.9  # of the interval
SURE = 0.9  # chance of being better from which on the first change is kept; assumption


@dataclass(frozen=True)
class Gain:
    """How much better the new predictions are than the old, in the unit of the metric, above 0 for better; with a 90 % interval."""

    value: float
    low: float
    high: float
    chance: float  # share of the resamples in which the new are better; ties count half

    @property
    def sure(self) -> bool:
        """Whether it counts as evidence, alone."""
        return self.at_least(SURE)

    def at_least(self, chance: float) -> bool:
        """Whether it is a gain, and one with this chance."""
        return self.value > 0 and self.chance >= chance

    def as_dict(self) -> dict[str, float]:
        """Plain data."""
        return {"gain": self.value, "low": self.low, "high": self.high, "chance": self.chance}


def bar(tries: int) -> float:
    """The chance that the n-th change tried on the same rows has to reach, n from 1: of many the best flatters itself.

    Of changes that do nothing 1 - `SURE` of the first are kept, half of that of the second, and so on.

    >>> [round(bar(tries), 3) for tries in (1, 2, 4)]
    [0.9, 0.95, 0.975]
    """
    return 1 - (1 - SURE) / tries


class Heights:
    """Scores turned so that more is better, whichever way the metric counts."""

    better: str  # "max" or "min"

    def height(self, score: float) -> float:
        """The score turned so that more is better; the lowest of all where it is no number."""
        return -math.inf if score != score else score if self.better == "max" else -score

    def better_than(self, one: float, other: float) -> bool:
        """Whether a score is better than another; one that is no number never is."""
        return self.height(one) > self.height(other)


class Scorer(Heights):
    """Judges predictions of the same N rows by one metric.

    Predictions are probabilities (N, C) or (N, K), or values (N,) or (N, K) in the target's own unit; `target` likewise.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        target: Array,
        *,
        classes: Sequence[Any] | None = None,
        positive: int | None = None,
        weight: Array | None = None,
    ) -> None:
        self.kind, self.name, self.target = kind, name, target
        self.classes, self.positive, self.weight = classes, positive, weight
        self.metric = metrics.metric(name, kind=kind, classes=classes)
        self.better = self.metric.better

    def __len__(self) -> int:
        return len(self.target)

    def on(self, rows: Array, name: str = "") -> "Scorer":
        """The same for some of the rows, by another metric where one is named."""
        weight = None if self.weight is None else self.weight[rows]
        about: dict[str, Any] = {"classes": self.classes, "positive": self.positive, "weight": weight}
        return Scorer(self.kind, name or self.name, self.target[rows], **about)

    def score(self, prediction: Array) -> float:
        """The metric."""
        about: dict[str, Any] = {"classes": self.classes, "positive": self.positive, "weight": self.weight}
        found = metrics.scores(self.kind, self.target, prediction, names=(self.name,), **about)
        return found[self.name]

    def gain(self, new: Array, old: Array, seed: int = 0) -> Gain:
        """New against old by a paired bootstrap over the rows (Efron & Tibshirani 1993, chapter 13; both see the same resamples)."""
        sign = 1.0 if self.better == "max" else -1.0
        judged = [
            Judged(self.kind, self.target, one, 1 if self.positive is None else self.positive) for one in (new, old)
        ]
        each = judged[0].weights(self.weight)
        value = sign * (self.metric(judged[0], each) - self.metric(judged[1], each))
        found = [
            sign * (self.metric(judged[0], rows) - self.metric(judged[1], rows))
            for rows in resamples(judged[0], each, RESAMPLES, seed)
        ]
        known = np.array([one for one in found if one == one])
        if not len(known) or value != value:
            return Gain(float("nan"), float("nan"), float("nan"), 0.0)
        return Gain(float(value), *percentiles(known, LEVEL), chance_above(known))
