"""Distances between many points at once."""

import numpy as np

from tunesmith.search.history import Floats


def squared_distances(one: Floats, other: Floats) -> Floats:
    """(N, M) squared Euclidean distances of (N, F) and (M, F), never below 0.

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[25.0, 1.0]]
    """
    squared = (one * one).sum(axis=1)[:, None] + (other * other).sum(axis=1) - 2 * one @ other.T
    return np.asarray(np.maximum(squared, 0.0))
