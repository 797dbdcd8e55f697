"""One formula, asked for one step or for many: with Python's own mathematics for an int, with NumPy's for an array.

A formula takes `(t, m)`: t is the step (an int, or an int64 array) and `m` the mathematics that fit it.
"""

import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.records import RecipeError

Steps: TypeAlias = Any  # an int, or an int64 array
Value: TypeAlias = Any  # a float, or a float64 array of the same shape


@dataclass(frozen=True, slots=True)
class Maths:
    """The functions that differ between a number and an array."""

    cos: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    log: Callable[[Any], Any]
    floor: Callable[[Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    either: Callable[[Any, Callable[[], Any], Callable[[], Any]], Any]  # (condition, if so, if not)
    reached: Callable[[Sequence[float], Any], Any]  # how many of the sorted marks are <= t
    passed: Callable[[Sequence[float], Any], Any]  # how many of the sorted marks are < t
    pick: Callable[[Sequence[Any], Any], Any]  # the entry of a table at an index


ONE = Maths(
    cos=math.cos,
    exp=math.exp,
    sqrt=math.sqrt,
    log=math.log,
    floor=math.floor,
    minimum=min,
    maximum=max,
    either=lambda condition, so, otherwise: so() if condition else otherwise(),
    reached=bisect_right,
    passed=bisect_left,
    pick=operator.getitem,
)
MANY = Maths(
    cos=np.cos,
    exp=np.exp,
    sqrt=np.sqrt,
    log=np.log,
    floor=np.floor,
    minimum=np.minimum,
    maximum=np.maximum,
    either=lambda condition, so, otherwise: np.where(condition, so(), otherwise()),
    reached=lambda marks, t: np.searchsorted(np.asarray(marks), t, side="right"),
    passed=lambda marks, t: np.searchsorted(np.asarray(marks), t, side="left"),
    pick=lambda table, index: np.asarray(table)[index],
)

Formula: TypeAlias = Callable[[Steps, Maths], Value]


class Curve:
    """A schedule made of a formula: an int gives a `float`, an integer array a float64 array of the same shape.

    `momentum` is the momentum that goes with it; `warmup` says how many of its first steps lead up to the peak, at
    most.

    >>> halved = Curve(lambda t, m: 0.5 ** m.minimum(t, 3))
    >>> halved(1), halved(np.array([0, 2, 9])).tolist()
    (0.5, [1.0, 0.25, 0.125])
    """

    __slots__ = ("formula", "momentum", "warmup")

    def __init__(self, formula: Formula, *, momentum: Schedule | None = None, warmup: int = 0) -> None:
        self.formula = formula
        self.momentum = momentum
        self.warmup = warmup

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: np.ndarray) -> np.ndarray: ...
    def __call__(self, step: Any) -> Any:
        if isinstance(step, np.ndarray):
            steps = np.atleast_1d(whole(step))
            found = np.asarray(self.formula(steps, MANY), np.float64)
            return np.broadcast_to(found, steps.shape).reshape(step.shape).copy()
        try:
            step = operator.index(step)
        except TypeError:
            raise unfit(step) from None
        return float(self.formula(step, ONE))


def whole(steps: np.ndarray) -> np.ndarray:
    """Steps as int64, so that no unsigned or short number wraps. Raises `RecipeError` for fractions of updates."""
    if steps.dtype.kind not in "iu":
        if steps.size:
            raise unfit(f"an array of {steps.dtype}")
        return steps.astype(np.int64)
    return steps.astype(np.int64, copy=False)


def unfit(step: Any) -> RecipeError:
    return RecipeError(
        f"a schedule was asked for step {step!r}; an int or an array of integers was expected: the updates made so far"
    )


def values(schedule: Schedule, steps: np.ndarray) -> np.ndarray:
    """A schedule at each of many steps; a plain function is asked one by one."""
    if isinstance(schedule, Curve):
        return schedule(steps)
    asked = [schedule(step) for step in whole(steps).ravel().tolist()]
    return np.array(asked, dtype=np.float64).reshape(steps.shape)


def as_array(steps: int | Iterable[int]) -> np.ndarray:
    """The first `steps` steps, or those listed."""
    if isinstance(steps, int):
        return np.arange(steps)
    if isinstance(steps, np.ndarray):
        return steps
    return np.array(list(steps))
