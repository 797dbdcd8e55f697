"""Scalers that shift and stretch: standard, robust, none.

standard  (x - mean) / standard deviation
robust    (x - median) / (third quartile - first quartile); the standard deviation where the quartiles are equal
none      x

A column that never changes in the training part becomes 0 for all values: nothing was learnt about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.scalers import SCALERS
from tunesmith.data.spec import Array


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Features (x - center) * factor, of the type of x."""

    center: Array  # float64 (columns,)
    factor: Array  # float64 (columns,), 0 for a column that never changes

    @property
    def widths(self) -> tuple[int, ...]:
        return (1,) * len(self.center)

    def transform(self, values: Array) -> Array:
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        moved: Array = values - self.center.astype(kind)
        moved *= self.factor.astype(kind)
        return moved

    def inverse(self, features: Array) -> Array:
        stretch = np.divide(1.0, self.factor, out=np.zeros_like(self.factor), where=self.factor != 0)
        return np.asarray(features, np.float64) * stretch + self.center

    def to_json(self) -> dict[str, Any]:
        return {"center": self.center.tolist(), "factor": self.factor.tolist()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(np.asarray(plain["center"], np.float64), np.asarray(plain["factor"], np.float64))


def _factor(spread: Array) -> Array:
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)


def _spread(values: Array, mean: Array) -> Array:
    """Standard deviations in float64, row blocks at a time; exactly 0 for a column of one value."""
    total = np.zeros(values.shape[1])
    for start in range(0, len(values), 4096):
        block = values[start : start + 4096] - mean
        total += np.einsum("ij,ij->j", block, block)
    spread = np.sqrt(total / len(values))
    spread[values.min(axis=0) == values.max(axis=0)] = 0.0
    return np.asarray(spread)


@SCALERS.add("standard")
class Standard(Linear):
    """z = (x - mean) / std of each column of the training part.

    Use: the first choice; a few wild values stretch the scale, then take `robust` or `quantile`.

    >>> Standard.fit(np.array([[1.0], [3.0]])).transform(np.array([[5.0]]))
    array([[3.]])
    """

    __slots__ = ()
    name: ClassVar[str] = "standard"

    @classmethod
    def fit(cls, values: Array) -> Self:
        mean = values.mean(axis=0, dtype=np.float64)
        return cls(mean, _factor(_spread(values, mean)))


@SCALERS.add("robust")
class Robust(Linear):
    """z = (x - median) / distance of the quartiles, of each column of the training part.

    Use: columns with wild values, which keep their distance but do not set the scale.

    >>> Robust.fit(np.array([[0.0], [1.0], [2.0], [3.0], [100.0]])).transform(np.array([[4.0]]))
    array([[1.]])
    """

    __slots__ = ()
    name: ClassVar[str] = "robust"

    @classmethod
    def fit(cls, values: Array) -> Self:
        low, middle, high = np.quantile(np.asarray(values, np.float64), (0.25, 0.5, 0.75), axis=0)
        spread = high - low
        flat = spread == 0
        if flat.any():
            narrow = values[:, flat]
            spread[flat] = _spread(narrow, narrow.mean(axis=0, dtype=np.float64))
        return cls(middle, _factor(spread))


@SCALERS.add("none")
class Unscaled(Linear):
    """z = x.

    Use: inputs that are scaled already, or whose unit means something.

    >>> Unscaled.fit(np.array([[1.0]])).transform(np.array([[5.0]]))
    array([[5.]])
    """

    __slots__ = ()
    name: ClassVar[str] = "none"

    @classmethod
    def fit(cls, values: Array) -> Self:
        return cls(np.zeros(values.shape[1]), np.ones(values.shape[1]))

    def transform(self, values: Array) -> Array:
        return values
