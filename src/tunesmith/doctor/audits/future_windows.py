"""Rows of one array that are pieces of the same series as rows of another, shifted in time. No network."""

import numpy as np

from tunesmith.data.spec import Array

CELLS = 4_000_000  # values of the training rows that are looked at; assumption
ODD = np.uint64(0x9E3779B97F4A7C15)  # a large odd number spreads bits (Knuth, TAOCP 3, 6.4)


def overlapping(train: Array, other: Array) -> tuple[Array, int]:
    """bool (N,): rows of `other` that share half a window or more with a row of `train` at another place; and its length.

    Equal places are left out: those are copies of rows, not windows. Pieces that hold fewer than four values are too.

    >>> series = np.random.default_rng(0).normal(size=40)
    >>> rows = np.lib.stride_tricks.sliding_window_view(series, 8)
    >>> overlapping(rows[::2], rows[1::2])[0].mean()
    np.float64(1.0)
    """
    length = max(4, train.shape[1] // 2)
    some = train[: max(1, CELLS // train[0].size)]
    pieces = _keys(_words(some), length)
    judged = _keys(_words(other), length)
    starts = pieces.shape[1]
    varied = _varied(other, length)
    hit = np.zeros(len(other), bool)
    known = np.unique(
        np.concatenate([pieces[:, 0], pieces[:, -1]])
    )  # the first and the last half of each training window
    for place in range(1, starts - 1):
        hit |= np.isin(judged[:, place], known) & varied
    ends = ((judged[:, 0], pieces[:, -1]), (judged[:, -1], pieces[:, 0])) if starts > 1 else ()
    for mine, theirs in ends:
        hit |= np.isin(mine, theirs) & varied
    return hit, length


def _words(values: Array) -> Array:
    """uint64 (N, T): one word a time, of all its numbers."""
    bits = np.ascontiguousarray(values.astype(np.float64)).view(np.uint64)
    if bits.ndim == 2:
        return bits
    made = np.zeros(bits.shape[:2], np.uint64)
    for place in range(bits.shape[2]):
        made = made * ODD + _mixed(bits[:, :, place])
    return made


def _mixed(words: Array) -> Array:
    words = words * ODD
    return np.asarray(words ^ (words >> np.uint64(29)))


def _keys(words: Array, length: int) -> Array:
    """uint64 (N, T - length + 1): a key of each piece."""
    starts = words.shape[1] - length + 1
    made = np.zeros((len(words), starts), np.uint64)
    for place in range(length):
        made = made * ODD + _mixed(words[:, place : place + starts])
    return made


def _varied(values: Array, length: int) -> Array:
    flat = values.reshape(len(values), values.shape[1], -1)[:, :, 0]
    return np.asarray((np.diff(np.sort(flat, axis=1), axis=1) > 0).sum(1) >= max(3, length // 2))
