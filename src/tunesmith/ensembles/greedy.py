"""Ensemble selection: models join an average one by one, as long as a metric on held rows rises.

Caruana, Niculescu-Mizil, Crew & Ksikes, Ensemble Selection from Libraries of Models, ICML 2004, section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles.averaging import checked, mixed
from tunesmith.ensembles.measure import Better, Function, Measure, measure
from tunesmith.records import DataError, RecipeError

START = 25  # section 2.2: 5 to 25 of the best begin, as many as score best
SIZE = 50  # the default of auto-sklearn: Feurer et al., NIPS 28 (2015)
BAGS, SHARE = 20, 0.5  # section 2.3
PATIENCE = 10  # assumption: a metric that counts rows stands still for a few models before it rises again


class Step(NamedTuple):
    """A model that joined, and the score of the average from then on."""

    model: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """One walk: the models it could choose from, who joined in what order, and how many of them it kept."""

    models: tuple[int, ...]
    path: tuple[Step, ...]
    kept: int

    def counts(self, members: int) -> Array:
        """How often each of the models (M,) was kept."""
        return np.bincount([step.model for step in self.path[: self.kept]], minlength=members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`weights` (M,) sum to 1; `score` is that of the weighted average on the rows it was selected on.

    The score is flattered by the selection: judge the ensemble on rows that took no part (`gain`).
    """

    weights: Array
    score: float
    best: int  # the best single model on these rows, the lower number of equals
    best_score: float
    bags: tuple[Bag, ...]


def select(
    predictions: Sequence[Any] | Array,
    target: Any,
    metric: str | Function | Measure,
    *,
    kind: str,
    better: Better | None = None,
    start: int = START,
    size: int = SIZE,
    bags: int = BAGS,
    share: float = SHARE,
    patience: int = PATIENCE,
    seed: int = 0,
) -> Selection:
    """Weights of an average that was built greedily, with replacement, on rows that none of the models was trained on.

    Shapes: `predictions` (M, N, K) or (M, N), `target` (N,) or (N, K). `metric` as `measure` takes it.

    Begins with the n best models, n at most `start`, as many as score best. Then the model that helps the average most joins,
    also one that is in it already, until there are `size` or `patience` have joined without a new best score; the part of
    the walk up to its best score is kept. Of models that are equal the lower number joins, and of scores that are equal the
    shorter ensemble is kept. Each of `bags` walks sees a random `share` of the models, and the weights are the mean of
    theirs; with `bags=0` one walk sees all, and its score on these rows is never below that of the best single model.

    The metric is worked out up to bags × size × share × M times; ROC-AUC of many rows is dear, log loss and accuracy are not.

    Bags guard against choosing what fits these rows by chance, but half of them lack the best model: of a few models of which
    one is far better than the rest take `bags=0`. On a few dozen rows no selection is to be trusted; equal weights, the
    `average` without any, are then often better (benchmarks/ensembles.md).

    Raises `DataError` as `average` does, and where the metric is undefined for every model; `RecipeError` for settings out
    of range.
    Source: Caruana et al. (2004), sections 2.1 (replacement), 2.2 (start), 2.3 (bags).

    >>> truth = np.array([1.0, 1.0])
    >>> models = [[0.0, 0.0], [3.0, 3.0], [9.0, 9.0]]
    >>> found = select(models, truth, "mae", kind="regression", bags=0)
    >>> [round(weight, 4) for weight in found.weights.tolist()], found.score
    ([0.6667, 0.3333, 0.0], 0.0)
    >>> [(step.model, round(step.score, 3)) for step in found.bags[0].path[:3]]
    [(0, 1.0), (1, 0.5), (0, 0.0)]
    """
    _check_settings(start, size, bags, share, patience)
    stacked, truth = checked(predictions, kind), np.asarray(target)
    judge = measure(metric, kind=kind, better=better)
    walk = _Walk(stacked, truth, judge)
    rng = np.random.Generator(np.random.Philox(key=seed))
    members = len(stacked)
    drawn = [
        tuple(sorted(rng.choice(members, max(1, round(share * members)), replace=False).tolist())) for _ in range(bags)
    ] or [tuple(range(members))]
    walks = tuple(walk.of(models, start, size, patience) for models in drawn)
    weights = np.mean([bag.counts(members) / bag.kept for bag in walks], axis=0)
    return Selection(
        weights=weights,
        score=judge(truth, mixed(stacked, weights)),
        best=walk.ranked[0],
        best_score=walk.sign * float(walk.alone[walk.ranked[0]]),
        bags=walks,
    )


class _Walk:
    """Scores with the better one above, undefined ones below all; each model alone is scored once."""

    def __init__(self, stacked: Array, target: Array, judge: Measure) -> None:
        self.stacked, self.target, self.judge = stacked, target, judge
        self.sign = 1.0 if judge.better == "max" else -1.0
        self.alone = np.array([self.height(one) for one in stacked])
        self.ranked = np.argsort(-self.alone, kind="stable").tolist()  # stable: the lower number of equals first
        if self.alone.max() == -math.inf:
            raise DataError(
                f"{judge.name} is undefined for every model on these {stacked.shape[1]} rows; give more rows, or rows of "
                "every class"
            )

    def height(self, prediction: Array) -> float:
        score = self.sign * self.judge(self.target, prediction)
        return -math.inf if math.isnan(score) else score

    def of(self, models: tuple[int, ...], start: int, size: int, patience: int) -> Bag:
        """Candidates are tried on a running sum; who joined is scored as the weighted average that a user will make."""
        among = set(models)
        joined = self._begun([model for model in self.ranked if model in among][: min(start, size)])
        total = self.stacked[joined].sum(axis=0)
        heights = [self._together(joined[: count + 1]) for count in range(len(joined))]
        best = len(joined)
        while len(joined) < size and len(joined) - best < patience:
            tried = [self.height((total + self.stacked[model]) / (len(joined) + 1)) for model in models]
            joined.append(models[int(np.argmax(tried))])  # the first of equals
            total = total + self.stacked[joined[-1]]
            heights.append(self._together(joined))
            if heights[-1] > heights[best - 1]:
                best = len(joined)
        path = tuple(Step(model, self.sign * height) for model, height in zip(joined, heights, strict=True))
        return Bag(models=models, path=path, kept=best)

    def _begun(self, first: list[int]) -> list[int]:
        """As many of the best, given in order, as score best together; the fewer of equals."""
        return first[: int(np.argmax([self._together(first[: count + 1]) for count in range(len(first))])) + 1]

    def _together(self, joined: list[int]) -> float:
        counts = np.bincount(joined, minlength=len(self.stacked))
        return self.height(mixed(self.stacked, counts / len(joined)))


def _check_settings(start: int, size: int, bags: int, share: float, patience: int) -> None:
    for name, value, least in (("start", start, 1), ("size", size, 1), ("bags", bags, 0), ("patience", patience, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise RecipeError(f"{name} = {value!r}: a whole number of {least} or more was expected")
    if not 0 < share <= 1:
        raise RecipeError(f"share = {share!r}: a share of the models above 0 and at most 1 was expected; 0.5 is usual")
