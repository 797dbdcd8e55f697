"""A number for what a row holds: the same in every order of the rows, equal for equal rows.

It gives rows an order that does not come from the file, and tells which are copies. Mixing: Steele, Lea & Flood,
Fast Splittable Pseudorandom Number Generators (2014), figure 16 (SplitMix64).
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from tunesmith.data.spec import Array

STRIDE = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64: the golden gamma


def mixed(values: Array) -> Array:
    """uint64 to uint64, every bit of the result depending on every bit given."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Array = values ^ (values >> np.uint64(31))
    return found


def row_keys(table: Mapping[str, Array]) -> Array:
    """uint64 (N,): a key of the contents of each row of a table; which column a value stands in counts.

    >>> import numpy as np
    >>> keys = row_keys({"a": np.array([1.0, 2.0, 1.0]), "b": np.array(["x", "x", "x"], object)})
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    keys = np.zeros(len(next(iter(table.values()))), np.uint64)
    with np.errstate(over="ignore"):
        for place, values in enumerate(table.values()):
            words = _words(values)
            where = np.arange(1, words.shape[1] + 1, dtype=np.uint64) * STRIDE + np.uint64(place)
            for start in range(0, len(words), 4096):  # a few MB at a time
                some = slice(start, start + 4096)
                keys[some] = mixed(keys[some] + mixed(words[some] + where).sum(1, dtype=np.uint64) + STRIDE)
    return keys


def _words(values: Array) -> Array:
    """uint64 (N, M) that hold the same bits."""
    if values.dtype == object:
        texts = pl.Series([None if value is None else str(value) for value in values.tolist()], dtype=pl.String)
        return texts.hash(0).to_numpy()[:, None].astype(np.uint64)
    flat = np.ascontiguousarray(values.reshape(len(values), -1))
    if flat.dtype.kind == "f":
        flat = flat + flat.dtype.type(0)  # -0 is 0
    if flat.dtype.kind in "US":
        return _words(flat[:, 0].astype(object))
    raw = flat.view(np.uint8).reshape(len(flat), -1)
    gap = -raw.shape[1] % 8
    if gap:
        raw = np.concatenate([raw, np.zeros((len(raw), gap), np.uint8)], axis=1)
    return raw.view(np.uint64)
