"""The weighted average of what several models predict. Stone, The Opinion Pool, Annals of Mathematical Statistics 32 (1961) 1339.

Legend: M models, N rows, K classes, labels or target columns; p_m what model m predicts, w_m its weight, Σ w_m = 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.judged import CLASS_KINDS, NUMBER_KINDS, Array
from tunesmith.records import DataError, did_you_mean
from tunesmith.records.task import KINDS

Predictor = Callable[[Any], Any]  # inputs to predictions, (N, K) or (N,)
ROUNDING = 1e-12  # of weights that sum to 1: dividing once more would change their last digits at every call
TOLERANCE = 2e-3  # assumption: half-precision probabilities of up to a thousand classes sum to 1 within it


def average(predictions: Sequence[Any] | Array, weights: Sequence[float] | Array | None = None, *, kind: str) -> Array:
    """p = Σ w_m p_m, in double precision.

    Shapes: `predictions` (M, N, K) or (M, N), one array a model; `weights` (M,), of 0 or more, divided by their sum, all
    equal where none are given; the result (N, K) or (N,). What is averaged goes by `kind`: probabilities that sum to 1
    for classes, one of 0 to 1 for each label (or for class 1 of two, as (M, N)), values for a regression. Average
    probabilities, not labels and not logits.

    For squared error and log loss the average is never worse than the mean of its members' losses: Krogh & Vedelsby,
    NIPS 7 (1995), and Jensen's inequality. It may be worse than the best member.

    Raises `DataError` for arrays of different sizes, predictions that are no numbers or no probabilities, and weights
    that are negative or all 0.
    Source: Stone (1961), the linear pool.

    >>> average([[[1.0, 0.0]], [[0.5, 0.5]]], kind="multiclass").tolist()
    [[0.75, 0.25]]
    >>> average([[1.0, 2.0], [5.0, 2.0]], [3, 1], kind="regression").tolist()
    [2.0, 2.0]
    """
    stacked = checked(predictions, kind)
    return mixed(stacked, shares(weights, len(stacked)))


def mixed(stacked: Array, weights: Array) -> Array:
    """Σ w_m p_m of arrays that were checked, (M, N, K) or (M, N), with weights (M,) that sum to 1."""
    return np.asarray(np.tensordot(weights, stacked, axes=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaged:
    """Several predictors as one. A predictor takes inputs and gives predictions, (N, K) or (N,).

    Calling it raises `DataError` as `average` does. A predictor of weight 0 is not called.

    >>> both = Averaged(predictors=(lambda x: x, lambda x: 3 * x), kind="regression")
    >>> both(np.array([1.0, 2.0])).tolist()
    [2.0, 4.0]
    """

    predictors: tuple[Predictor, ...]
    kind: str
    weights: Array | None = None

    def __call__(self, inputs: Any) -> Array:
        given = shares(self.weights, len(self.predictors))
        used = np.flatnonzero(given)
        return average([self.predictors[place](inputs) for place in used], given[used], kind=self.kind)


def checked(predictions: Sequence[Any] | Array, kind: str) -> Array:
    """The predictions of all models as one array in double precision, (M, N, K) or (M, N). Raises as `average` does."""
    if kind not in KINDS:
        raise DataError(f"no kind of task called {kind!r}{did_you_mean(kind, KINDS)}")
    arrays = [np.asarray(one, dtype=np.float64) for one in predictions]
    if not arrays:
        raise DataError("there are no predictions to average; give those of one model or more")
    for place, one in enumerate(arrays):
        if one.shape != arrays[0].shape:
            raise DataError(
                f"model {place} predicts an array of shape {one.shape} and model 0 one of {arrays[0].shape}; let all "
                "models predict the same rows and columns"
            )
    stacked = np.stack(arrays)
    _check_shape(stacked, kind)
    _check_values(stacked, kind)
    return stacked


def shares(weights: Sequence[float] | Array | None, members: int) -> Array:
    """The weights (M,) divided by their sum where it is not 1; equal ones where none are given. Raises `DataError`.

    >>> shares([1, 3], 2).tolist()
    [0.25, 0.75]
    """
    if weights is None:
        return np.full(members, 1 / members)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (members,):
        raise DataError(f"there are weights of shape {given.shape} for {members} models; give one weight a model")
    if not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
        raise DataError(
            f"the weights are {given.tolist()}; numbers of 0 or more were expected, one of them above 0: leave a model out "
            "rather than weigh it below 0"
        )
    total = given.sum()
    return given if abs(total - 1) < ROUNDING else np.asarray(given / total)


def _check_shape(stacked: Array, kind: str) -> None:
    columns = stacked.ndim == 3
    if stacked.ndim not in (2, 3) or (not columns and kind in CLASS_KINDS and kind != "binary"):
        wanted = "(N, K)" if kind not in ("binary", *NUMBER_KINDS) else "(N,) or (N, K)"
        raise DataError(
            f"a model of a {kind} task predicts an array of shape {stacked.shape[1:]}; {wanted} was expected, a row for "
            "each row of the data"
        )
    if not stacked[0].size:
        raise DataError(f"the models predict arrays of shape {stacked.shape[1:]}; give at least one row")


def _check_values(stacked: Array, kind: str) -> None:
    flat = stacked.reshape(*stacked.shape[:2], -1)
    _refuse(~np.isfinite(flat), flat, "a finite number was expected; leave the row or the model out")
    if kind in NUMBER_KINDS:
        return
    apart = (flat < -TOLERANCE) | (flat > 1 + TOLERANCE)
    advice = "probabilities were expected; take the softmax or the sigmoid of logits first"
    _refuse(apart, flat, advice)
    if kind in CLASS_KINDS and stacked.ndim == 3:
        sums = flat.sum(axis=2, keepdims=True)
        _refuse(np.abs(sums - 1) > TOLERANCE, flat, f"{advice}: they sum to 1 over the classes")


def _refuse(wrong: Array, flat: Array, advice: str) -> None:
    """Names the first row of the first model in which something is wrong, (M, N, K) or (M, N, 1)."""
    if wrong.any():
        model, row = (int(place) for place in np.argwhere(wrong)[0][:2])
        shown = ", ".join(f"{value:.4g}" for value in flat[model, row, :4]) + (", …" if flat.shape[2] > 4 else "")
        raise DataError(f"model {model} predicts [{shown}] in row {row}; {advice}")
