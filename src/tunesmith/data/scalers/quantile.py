"""quantile: each number becomes the normal quantile of its rank in the training part (rank-gauss).

The map goes straight lines through the points (q_j, z_j), z_j = inverse normal distribution of p_j, on up to `POINTS`
shares p_j, and is constant outside. Equal numbers, such as the zeros of a column that is mostly zero, get the middle
of their shares. The ends lie at p = 1 / (2 N): an extreme row is no farther out than the extreme of N normal numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np

from tunesmith.data.scalers import SCALERS, ascending
from tunesmith.data.spec import Array

POINTS = 1000  # as scikit-learn's QuantileTransformer


@SCALERS.add("quantile")
@dataclass(frozen=True, slots=True, eq=False)
class Quantile:
    """
    >>> scaler = Quantile.fit(np.arange(101.0).reshape(-1, 1) ** 3)
    >>> scaler.transform(np.array([[50.0**3]])).round(6).tolist()
    [[0.0]]
    """

    knots: tuple[Array, ...]  # of each column: ascending values, float64
    scores: tuple[Array, ...]  # of each knot: normal quantile

    @property
    def widths(self) -> tuple[int, ...]:
        return (1,) * len(self.knots)

    @classmethod
    def fit(cls, values: Array) -> Self:
        shares = np.linspace(0.0, 1.0, max(2, min(POINTS, len(values))))
        pairs = [_curve(column, shares) for column in ascending(values).T]
        return cls(tuple(knots for knots, _ in pairs), tuple(scores for _, scores in pairs))

    def transform(self, values: Array) -> Array:
        columns = [np.interp(x, q, z) for x, q, z in zip(values.T, self.knots, self.scores, strict=True)]
        return np.stack(columns, axis=1) if columns else np.empty((len(values), 0))

    def inverse(self, features: Array) -> Array:
        columns = [np.interp(x, z, q) for x, z, q in zip(features.T, self.scores, self.knots, strict=True)]
        return np.stack(columns, axis=1) if columns else np.empty((len(features), 0))

    def to_json(self) -> dict[str, Any]:
        return {"knots": [q.tolist() for q in self.knots], "scores": [z.tolist() for z in self.scores]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(*(tuple(np.asarray(part, np.float64) for part in plain[name]) for name in ("knots", "scores")))


def _curve(ordered: Array, shares: Array) -> tuple[Array, Array]:
    points = np.quantile(ordered, shares)
    knots, first, repeats = np.unique(points, return_index=True, return_counts=True)
    middle = (shares[first] + shares[first + repeats - 1]) / 2
    end = 0.5 / len(ordered)
    normal = NormalDist()
    return knots, np.array([normal.inv_cdf(p) for p in np.clip(middle, end, 1 - end)])
