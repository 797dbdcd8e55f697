"""Hashes of data: one for all of it, one for each row, and the groups of rows that are equal."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tunesmith.data.spec import Array

CHUNK_BYTES = 1 << 20  # stays in the cache


def fingerprint(arrays: Mapping[str, Array]) -> str:
    """A blake2b hash of names, types, shapes, values and order; the same in every session.

    >>> fingerprint({"a": np.arange(3)}) == fingerprint({"a": np.arange(3)})
    True
    >>> fingerprint({"a": np.arange(3)}) == fingerprint({"b": np.arange(3)})
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, values in arrays.items():
        digest.update(f"{name}\x1f{values.dtype.str}\x1f{values.shape}\x1e".encode())
        if values.dtype == object:
            digest.update(_text_bytes(values))
        else:
            digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _text_bytes(values: Array) -> bytes:
    """Text without a way to read two different columns as the same bytes: lengths first, -1 for a missing value."""
    encoded = [None if value is None else str(value).encode("utf-8", "surrogatepass") for value in values.reshape(-1)]
    lengths = np.fromiter((-1 if text is None else len(text) for text in encoded), np.int64, len(encoded))
    return lengths.tobytes() + b"".join(text for text in encoded if text is not None)


def row_hashes(arrays: Iterable[Array]) -> Array:
    """A 64-bit hash of each row over all arrays, uint64 (N,). Equal rows have equal hashes; the converse is likely.

    A multilinear hash: sum of words times fixed random odd 64-bit weights, modulo 2^64 (Carter & Wegman 1979).
    """
    total: Array | None = None
    for index, values in enumerate(arrays):
        hashed = _hashed(_codes(values) if values.dtype == object else values, index)
        total = hashed if total is None else total + hashed
    if total is None:
        raise ValueError("no arrays to hash")
    return total


def _codes(values: Array) -> Array:
    known: dict[object, int] = {}
    return np.fromiter((known.setdefault(value, len(known)) for value in values.reshape(-1)), np.int64, values.size)


def _hashed(values: Array, key: int) -> Array:
    rows = max(1, CHUNK_BYTES // max(1, values[:1].nbytes))
    out = np.zeros(len(values), np.uint64)
    for start in range(0, len(values), rows):
        words = _words(values[start : start + rows])
        weights = np.random.Generator(np.random.Philox(key=key)).integers(1, 1 << 63, words.shape[1], dtype=np.uint64)
        words = words ^ (words >> np.uint64(29))  # or two flipped signs would cancel: 2^63 (w + w') = 0 mod 2^64
        out[start : start + rows] = words @ (weights * np.uint64(2) + np.uint64(1))
    return out


def _words(values: Array) -> Array:
    """Rows as unsigned 64-bit words: (N, words)."""
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    if flat.dtype.kind == "f":
        flat = flat + flat.dtype.type(0)  # -0.0 and 0.0 are equal inputs
    raw = flat.view(np.uint8) if flat.size else np.empty((len(values), 0), np.uint8)
    size = next(size for size in (8, 4, 2, 1) if raw.shape[1] % size == 0)
    return raw.view(f"u{size}").astype(np.uint64, copy=False)


def equal_rows(arrays: Iterable[Array]) -> Array:
    """The group of each row, int64 (N,): rows with equal values in all arrays share the number of the first of them.

    >>> equal_rows([np.array([5, 7, 5, 5])])
    array([0, 1, 0, 0])
    """
    kept = list(arrays)
    hashes = row_hashes(kept)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    group = first[inverse].astype(np.int64)
    repeats = np.flatnonzero(group != np.arange(len(group)))
    if len(repeats):
        same = np.ones(len(repeats), bool)
        for values in kept:
            same &= _equal(values[repeats], values[group[repeats]])
        group[repeats[~same]] = repeats[~same]  # two rows with one hash by chance
    return group


def _equal(left: Array, right: Array) -> Array:
    same = left == right
    if left.dtype.kind == "f":
        same |= (left != left) & (right != right)
    return np.asarray(np.asarray(same).reshape(len(left), -1).all(axis=1))


def shared_rows(left: Sequence[Array], right: Sequence[Array]) -> int:
    """How many rows of `right` equal a row of `left` in all arrays (by their 64-bit hashes)."""
    pairs = [_alike(one, other) for one, other in zip(left, right, strict=True)]
    if any(one.shape[1:] != other.shape[1:] for one, other in pairs):
        return 0
    hashes = [row_hashes([pair[side] for pair in pairs]) for side in (0, 1)]
    return int(np.isin(hashes[1], hashes[0]).sum())


def _alike(left: Array, right: Array) -> tuple[Array, Array]:
    """Two columns in one type, text as codes that both share."""
    if left.dtype != object:
        return left, right.astype(left.dtype, copy=False)
    known: dict[object, int] = {}
    codes = [np.array([known.setdefault(value, len(known)) for value in side], np.int64) for side in (left, right)]
    return codes[0], codes[1]
