"""A metric and which way is better: one of the project's by name, or a function of one's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunesmith.blocks.metrics import Judged, metric
from tunesmith.blocks.metrics.judged import Array
from tunesmith.records import RecipeError

Better = Literal["max", "min"]
Function = Callable[[Any, Any], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Calls predictions (N, K) or (N,) beside their target good or bad. Made by `measure`.

    `weighted(target, prediction)` gives a function of whole numbers (N,): how often each row is taken.
    """

    name: str
    better: Better
    weighted: Callable[[Array, Array], Callable[[Array], float]]

    def __call__(self, target: Any, prediction: Any) -> float:
        """The metric, each row taken once; nan where it is undefined."""
        rows = np.asarray(prediction)
        return self.weighted(np.asarray(target), rows)(np.ones(len(rows), np.int64))

    def gain(self, score: float, over: float) -> float:
        """How much better one score is than another: above 0 where it is, whichever way the metric goes.

        >>> measure("rmse", kind="regression").gain(2.0, over=3.0)
        1.0
        """
        return score - over if self.better == "max" else over - score


def measure(
    wanted: "str | Function | Measure", *, kind: str, better: Better | None = None, positive: int = 1
) -> Measure:
    """A metric of the catalogue by its name, which knows its direction, or a function with `better` "max" or "min".

    A function is called as `f(target, prediction)` and may be called with some rows left out and others repeated.
    `positive` is the index of the positive class of a binary task.

    Raises `UnknownName` and `RecipeError` for a name that no metric has or that does not fit the kind, and `RecipeError`
    for a function without a direction or a direction that contradicts the catalogue.

    >>> measure("accuracy", kind="binary")([0, 1], [0.2, 0.9])
    1.0
    >>> measure(lambda target, given: float(abs(target - given).max()), kind="regression", better="min").better
    'min'
    """
    if isinstance(wanted, Measure):
        return wanted
    if isinstance(wanted, str):
        found = metric(wanted, kind=kind)
        if better not in (None, found.better):
            raise RecipeError(f"better = {better!r}, but {found.name} is best at its {found.better}; leave better out")

        def judged(target: Array, prediction: Array) -> Callable[[Array], float]:
            held = Judged(kind, target, prediction, positive)
            return lambda counts: found(held, counts.astype(np.float64))

        return Measure(name=found.name, better=found.better, weighted=judged)
    if better not in ("max", "min"):
        raise RecipeError(
            f"better = {better!r}: of a function of one's own it must be told which way is better, 'max' or 'min'"
        )

    def repeated(target: Array, prediction: Array) -> Callable[[Array], float]:
        rows = np.arange(len(prediction))

        def value(counts: Array) -> float:
            taken = np.repeat(rows, counts)
            return float(wanted(target[taken], prediction[taken]))

        return value

    return Measure(name=getattr(wanted, "__name__", "own"), better=better, weighted=repeated)
