"""piecewise: piecewise linear encoding over quantile bins. Gorishniy et al. 2022, arXiv:2203.05556, equation 1.

With bins b_0 < b_1 < ... < b_T of the training part, a number x becomes T features

    e_t = 0                                  if x < b_{t-1} and t > 1
          1                                  if x >= b_t    and t < T
          (x - b_{t-1}) / (b_t - b_{t-1})    else

so that the first and the last feature go on linearly outside the bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tunesmith.data.scalers import SCALERS, ascending
from tunesmith.data.spec import Array

BINS = 48  # the default of the authors' rtdl_num_embeddings; 24 was a little worse on five tables (docs/log.md)


@SCALERS.add("piecewise")
@dataclass(frozen=True, slots=True, eq=False)
class Piecewise:
    """
    >>> scaler = Piecewise((np.array([0.0, 1.0, 3.0]),))
    >>> scaler.transform(np.array([[2.0], [-1.0]])).tolist()
    [[1.0, 0.5], [-1.0, 0.0]]
    """

    bins: tuple[Array, ...]  # edges of each column, float64 ascending; one edge for a column that never changes

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(max(1, len(edges) - 1) for edges in self.bins)

    @classmethod
    def fit(cls, values: Array) -> Self:
        return cls(tuple(edges_of(column) for column in ascending(values).T))

    def transform(self, values: Array) -> Array:
        columns = [_encode(np.asarray(x, np.float64), edges) for x, edges in zip(values.T, self.bins, strict=True)]
        return np.concatenate(columns, axis=1) if columns else np.empty((len(values), 0))

    def inverse(self, features: Array) -> Array:
        ends = np.cumsum(self.widths)[:-1]
        parts = np.split(np.asarray(features, np.float64), ends, axis=1) if self.bins else []
        columns = [
            edges[0] + part @ np.diff(edges) if len(edges) > 1 else np.full(len(part), edges[0])
            for part, edges in zip(parts, self.bins, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.empty((len(features), 0))

    def to_json(self) -> dict[str, Any]:
        return {"bins": [edges.tolist() for edges in self.bins]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(tuple(np.asarray(edges, np.float64) for edges in plain["bins"]))


def edges_of(column: Array) -> Array:
    """Ascending edges: every value where there are few, else quantiles, with an edge of its own for each frequent value.

    Quantiles alone give a column that is mostly zero hardly any bins; a value that fills a bin by itself takes one edge,
    and the other edges share the other rows (as LightGBM's greedy binning, Ke et al. 2017).

    >>> edges_of(np.array([0.0] * 90 + [1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    levels, counts = np.unique(column, return_counts=True)
    if len(levels) <= BINS + 1:
        return np.asarray(levels)
    frequent = counts >= len(column) / BINS
    others = np.repeat(levels[~frequent], counts[~frequent])
    shares = np.linspace(0.0, 1.0, max(2, BINS + 1 - int(frequent.sum())))
    return np.unique(np.concatenate([levels[frequent], np.quantile(others, shares, method="inverted_cdf")]))


def _encode(values: Array, edges: Array) -> Array:
    if len(edges) == 1:
        return np.zeros((len(values), 1))
    share = (values[:, None] - edges[:-1]) / np.diff(edges)
    share[:, 1:] = np.maximum(share[:, 1:], 0.0)
    share[:, :-1] = np.minimum(share[:, :-1], 1.0)
    return share
