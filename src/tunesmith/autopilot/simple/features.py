"""The inputs of a part as one matrix: what a linear model and trees look at."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.data.spec import Array, Categories, InputSpec, Numbers, Part, Pictures, Plain, Tokens
from tunesmith.records.check import Inapplicable

WIDEST = 20_000  # numbers a row; assumption
HASHED = 2**15  # columns of words and pairs of words; assumption: collisions are rare among the frequent
LEVELS = 200  # of a category column that trees take as such; scikit-learn takes 255


def matrix(part: Part, spec: Mapping[str, InputSpec], *, joined: bool = True) -> tuple[Array, Array]:
    """(N, F) numbers, and (F,) which columns are codes of categories; text beside them is left out.

    `joined`: the features that an encoding makes of one number, `age [0]`, `age [1]` …, become their sum, which rises with the number: all
    that trees ask for. Raises `Inapplicable` where there is nothing but text, and for rows too wide.
    """
    columns, codes = [], []
    for name, described in spec.items():
        values = np.asarray(part.inputs[name])
        if isinstance(described, Tokens):
            continue
        flat = values.reshape(len(values), -1)
        if joined and isinstance(described, Numbers):
            flat = _joined(flat, described.names)
        if isinstance(described, Pictures):
            flat = flat.astype(np.float32) / 255.0
        columns.append(flat.astype(np.float32))
        few = [size <= LEVELS for size in described.sizes] if isinstance(described, Categories) else []
        codes += few or [False] * flat.shape[1]
    if not columns:
        raise Inapplicable("text has no columns of numbers")
    whole = np.concatenate(columns, axis=1)
    if not whole.shape[1] or whole.shape[1] > WIDEST:
        raise Inapplicable(f"{whole.shape[1]} numbers a row are no case for a simple model")
    return whole, np.array(codes, dtype=bool)


def _joined(values: Array, names: Sequence[str]) -> Array:
    """Neighbouring columns of one name, but for a number in brackets at its end, as their sum."""
    stems = [re.sub(r" \[\d+\]$", "", name) for name in names]
    first = [place for place, stem in enumerate(stems) if not place or stem != stems[place - 1]]
    return values if len(first) in (0, values.shape[1]) else np.add.reduceat(values, first, axis=1, dtype=np.float64)


def one_hot(part: Part, spec: Mapping[str, InputSpec]) -> Array:
    """(N, F) with a column for each level of a category."""
    columns = []
    for name, described in spec.items():
        values = np.asarray(part.inputs[name])
        if isinstance(described, Categories):
            columns += [np.eye(size, dtype=np.float32)[values[:, place]] for place, size in enumerate(described.sizes)]
        elif isinstance(described, Pictures):
            columns.append(values.reshape(len(values), -1).astype(np.float32) / 255.0)
        elif isinstance(described, Numbers | Plain):
            columns.append(values.reshape(len(values), -1).astype(np.float32))
    return np.concatenate(columns, axis=1)


def words(part: Part, spec: Mapping[str, InputSpec]) -> Any:
    """(N, HASHED) counts of tokens and of pairs of neighbours, hashed, as a sparse matrix of SciPy. Weinberger et al., arXiv:0902.2206."""
    from scipy.sparse import csr_matrix

    tokens = np.asarray(part.inputs["tokens"]).astype(np.int64)
    described = spec["tokens"]
    assert isinstance(described, Tokens)
    real = tokens != described.padding
    rows, single = np.nonzero(real)[0], tokens[real]
    both = real[:, 1:] & real[:, :-1]
    pairs = (tokens[:, :-1] * 1_000_003 + tokens[:, 1:])[both]
    place = np.concatenate([_hashed(single), _hashed(pairs + 2**40)])
    where = np.concatenate([rows, np.nonzero(both)[0]])
    counts = csr_matrix((np.ones(len(place), np.float32), (where, place)), shape=(len(tokens), HASHED))
    counts.sum_duplicates()
    return counts


def _hashed(numbers: Array) -> Array:
    """Fibonacci hashing into `HASHED` places."""
    return np.asarray((numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - 15)).astype(
        np.int64
    )
