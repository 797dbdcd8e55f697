"""Rows with equal inputs, whatever the inputs are: they are replicates of one another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.data.spec import Array


def equal_units(inputs: Any) -> Array:
    """The unit (N,) of each row, a number from 0 up: rows of one unit have equal inputs, (N, …) or several arrays of that length.

    >>> one, other, again = equal_units(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    >>> one == again, one == other
    (np.True_, np.False_)
    """
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    parts: Sequence[Array] = inputs if isinstance(inputs, list | tuple) else [inputs]
    units = np.zeros(len(parts[0]), np.int64)
    for part in parts:
        codes = _codes(np.asarray(part))
        _, units = np.unique(units * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return units.reshape(-1)


def _codes(part: Array) -> Array:
    flat = part.reshape(len(part), -1)
    if flat.dtype == object:
        known: dict[tuple[str, ...], int] = {}
        return np.array([known.setdefault(tuple(map(repr, row)), len(known)) for row in flat.tolist()], np.int64)
    if flat.dtype.kind == "f":
        flat = flat + 0.0  # -0 is 0
    flat = np.ascontiguousarray(flat)
    if not flat.shape[1]:
        return np.zeros(len(flat), np.int64)
    rows = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).reshape(-1)
    return np.unique(rows, return_inverse=True)[1].reshape(-1)
