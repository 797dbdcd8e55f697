"""Predictions beside the truth, checked once, with what several metrics need of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tunesmith.records import DataError

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")
CLASS_KINDS = ("multiclass", "binary", "language")
NUMBER_KINDS = ("regression", "multi_regression")


@dataclass(frozen=True)
class Judged:
    """`prediction` holds probabilities (N, C) for classes, (N, K) for several labels, and values (N,) or (N, K) for
    numbers; one column may also come as (N,), that of class 1 for a binary task.

    `target` holds class indices (N,), answers (N, K) of 0 and 1, or values. `positive` is the index of the positive class
    of a binary task. `threshold` is the least probability of a yes: of the positive class, or of each label; without one
    the likeliest class is taken, and labels at 0.5. Rows with a prediction that is no number make every metric undefined.
    """

    kind: str
    target: Array
    prediction: Array
    positive: int = 1
    threshold: float | None = None
    memory: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        target, prediction = np.asarray(self.target), np.asarray(self.prediction)
        if self.kind not in CLASS_KINDS:
            target, prediction = (each[:, None] if each.ndim == 1 else each for each in (target, prediction))
        elif self.kind == "binary" and prediction.ndim == 1:  # of class 1 alone
            prediction = np.stack([1 - prediction, prediction], axis=1)
        elif self.kind in CLASS_KINDS and prediction.ndim != 2:
            raise DataError(
                f"predictions of a {self.kind} task have the shape {prediction.shape}, one probability for each class, "
                "(N, C), was expected"
            )
        columns = prediction.shape[1:] if self.kind not in CLASS_KINDS else ()
        if target.shape != (len(prediction), *columns):
            raise DataError(
                f"the target has the shape {target.shape} and the prediction {prediction.shape}, which do not fit for "
                f"a {self.kind} task"
            )
        if not len(target):
            raise DataError("there are no rows to judge; give a part of the data with at least one row")
        if self.kind in CLASS_KINDS:
            target = target.astype(np.int64)
            if target.min() < 0 or target.max() >= prediction.shape[1]:
                raise DataError(
                    f"the target holds class {target.max() if target.min() >= 0 else target.min()}, "
                    f"classes 0 to {prediction.shape[1] - 1} were expected; give the model one output for each class"
                )
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "prediction", prediction)

    def __len__(self) -> int:
        return len(self.target)

    def once(self, function: Callable[["Judged"], Result]) -> Result:
        """`function(self)`, computed the first time: the same for every weighting of the rows."""
        if function not in self.memory:
            self.memory[function] = function(self)
        return self.memory[function]  # type: ignore[no-any-return]

    def last(self, name: str, weight: Array, compute: Callable[[], Result]) -> Result:
        """What `compute` gives, kept for as long as the same weights are asked about: several metrics share it."""
        held, value = self.memory.get(name, (None, None))
        if held is not weight:
            value = compute()
            self.memory[name] = weight, value
        return value  # type: ignore[no-any-return]

    @property
    def columns(self) -> int:
        """Classes, labels or target columns."""
        return int(self.prediction.shape[1])

    @cached_property
    def finite(self) -> bool:
        return bool(np.isfinite(self.prediction).all())

    @cached_property
    def decided(self) -> Array:
        """The predicted class indices (N,), or the predicted answers (N, K)."""
        if self.kind not in CLASS_KINDS:
            return np.asarray(self.prediction >= np.float64(0.5 if self.threshold is None else self.threshold))
        if self.kind == "binary" and self.threshold is not None:
            yes = self.prediction[:, self.positive] >= np.float64(self.threshold)  # not rounded to the array's type
            return np.where(yes, self.positive, 1 - self.positive)
        return np.asarray(self.prediction.argmax(axis=1))

    @cached_property
    def rankings(self) -> tuple["Ranking", ...]:
        """One for the positive class of a binary task, else one for each class against the rest, or each label."""
        if self.kind == "binary":
            return (Ranking(self.target == self.positive, self.prediction[:, self.positive]),)
        if self.kind in CLASS_KINDS:
            return tuple(Ranking(self.target == index, self.prediction[:, index]) for index in range(self.columns))
        return tuple(Ranking(self.target[:, index] > 0.5, self.prediction[:, index]) for index in range(self.columns))

    def weights(self, weight: Array | None) -> Array:
        """One weight a row, 1 where none are given."""
        if weight is None:
            return np.ones(len(self))
        if np.shape(weight) != (len(self),):
            raise DataError(
                f"there are weights of shape {np.shape(weight)} for {len(self)} rows; give one weight a row"
            )
        return np.asarray(weight, dtype=np.float64)


class Ranking:
    """Yes or no by falling score, prepared for many weightings of the same rows. Equal scores stand together."""

    def __init__(self, yes: Array, score: Array) -> None:
        self.order = np.argsort(-score, kind="stable")
        ordered, self.yes = score[self.order], yes[self.order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.starts = starts
        self.places = np.flatnonzero(self.yes)
        step = np.searchsorted(starts, self.places, side="right") - 1
        ends = np.r_[starts[1:], len(ordered)]
        found = np.r_[0, np.cumsum(self.yes)]
        self.before, self.through = starts[step], ends[step]  # rows above the step of each yes, and with it
        self.yes_before, self.yes_through = found[self.before], found[self.through]

    def sums(self, weight: Array) -> tuple[Array, Array]:
        """The weight of yes and of no at each distinct score, falling."""
        ordered = weight[self.order]
        yes = ordered * self.yes
        return np.add.reduceat(yes, self.starts), np.add.reduceat(ordered - yes, self.starts)

    def standing(self, weight: Array) -> "Standing":
        """What stands above each yes."""
        ordered = weight[self.order]
        own = ordered[self.places]
        seen, found = _sums_before(ordered), _sums_before(own)
        return Standing(
            own,
            float(found[-1]),
            float(seen[-1] - found[-1]),
            seen[self.before] - found[self.yes_before],
            seen[self.through],
            found[self.yes_through],
        )


def _sums_before(values: Array) -> Array:
    """0 and the running sums: one more than there are values."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums


class Standing(NamedTuple):
    """Weights: of each yes, of all yes, of all no; above each yes strictly: of no; at or above it: of all rows, of
    yes."""

    own: Array
    yes: float
    no: float
    no_above: Array
    through: Array
    yes_through: Array


class Tally(NamedTuple):
    """Weights of right answers, of the truth and of the prediction, class by class or label by label."""

    right: Array
    true: Array
    decided: Array


def standings(judged: Judged, weight: Array) -> list[Standing]:
    """What stands above each yes, for each ranking."""
    return judged.last("standings", weight, lambda: [ranking.standing(weight) for ranking in judged.rankings])


def tally(judged: Judged, weight: Array) -> Tally:
    """The counts that precision, recall and F1 are made of."""
    return judged.last("tally", weight, lambda: _tally(judged, weight))


def _tally(judged: Judged, weight: Array) -> Tally:
    if judged.kind in CLASS_KINDS:
        kept, right = judged.once(_right_rows)
        columns = judged.columns
        return Tally(
            np.bincount(right, weight[kept], minlength=columns),
            np.bincount(judged.target, weight, minlength=columns),
            np.bincount(judged.decided, weight, minlength=columns),
        )
    return Tally(*(weight @ each for each in judged.once(_answers)))


def _right_rows(judged: Judged) -> tuple[Array, Array]:
    kept = np.flatnonzero(judged.decided == judged.target)
    return kept, judged.target[kept]


def _answers(judged: Judged) -> tuple[Array, ...]:
    true, decided = judged.target > 0.5, judged.decided
    return tuple(each.astype(np.float64) for each in (true & decided, true, decided))


def ratio(part: Array, whole: Array) -> Array:
    """part / whole, nan where the whole is nothing: undefined is not 0."""
    result: Array = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) > 0)
    return result


def mean(values: Array) -> float:
    """The mean of those that are defined, nan where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
