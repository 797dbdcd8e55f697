"""Pairs of rows of numbers that lie far nearer to each other than rows do.

Candidates share a leaf of a random projection tree (Dasgupta & Freund, Random projection trees and low dimensional
manifolds, STOC 2008): a cut seldom falls between two rows that are much nearer than the others. The score is the logarithm
of how much nearer they are than the usual neighbours of both, held against chance (`chance`).
"""

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.chance import beyond_chance, law_of
from tunesmith.doctor.audits.near_pictures import NearPairs

LEAF, TREES = 128, 4  # assumption
SAMPLE, NTH = 1000, 5  # rows among which the usual neighbours are looked for, and which of them is taken; assumption
NULLS = 2000
FEWEST = 64  # rows below which chance cannot be told; assumption
NEAR = 0.1  # of the usual distance; assumption: what is not that near is no copy, whatever chance says


def near_rows(rows: Array, rng: np.random.Generator) -> NearPairs:
    """The copies among rows (N, D), float32, none equal to another."""
    count = len(rows)
    if count < FEWEST:
        return NearPairs(np.empty((0, 2), np.int64), np.empty(0), 0.0)
    sample = np.sort(rng.permutation(count)[: min(SAMPLE, count // 4)])
    usual, nearest = _usual(rows, sample)
    pairs = _candidates(rows, rng)
    square = ((rows[pairs[:, 0]] - rows[pairs[:, 1]]) ** 2).sum(1, dtype=np.float64)
    usually = np.minimum(usual[pairs[:, 0]], usual[pairs[:, 1]])
    score = np.log(np.maximum(usually, 1e-12)) - np.log(np.maximum(square, 1e-12))
    enough = score >= -2 * np.log(NEAR)
    pairs, square, usually, score = pairs[enough], square[enough], usually[enough], score[enough]
    drawn = np.sort(rng.permutation(count)[:NULLS])
    chance = np.log(np.maximum(usual[drawn], 1e-12)) - np.log(np.maximum(nearest[drawn], 1e-12))
    kept, expected = beyond_chance(score, law_of(chance).of(count / len(sample)), count)
    order = np.flatnonzero(kept)
    order = order[np.argsort(-score[order], kind="stable")]
    return NearPairs(pairs[order], 1 - np.sqrt(square[order] / np.maximum(usually[order], 1e-12)), expected)


def _usual(rows: Array, sample: Array) -> tuple[Array, Array]:
    """The squared distance of each row to the nearest few of a sample, and to the nearest."""
    others = rows[sample]
    size = (others**2).sum(1)
    usual, nearest = np.empty(len(rows)), np.empty(len(rows))
    nth = min(NTH, len(sample) - 2)
    for start in range(0, len(rows), 1024):
        some = np.arange(start, min(start + 1024, len(rows)))
        square = np.maximum((rows[some] ** 2).sum(1)[:, None] + size - 2 * rows[some] @ others.T, 0)
        square[some[:, None] == sample] = np.inf
        place = square.argmin(1)
        usual[some] = np.partition(square, nth - 1, axis=1)[:, nth - 1]
        nearest[some] = ((rows[some] - others[place]) ** 2).sum(1)  # again: the product rounds
    return usual, nearest


def _candidates(rows: Array, rng: np.random.Generator) -> Array:
    """The nearest row of each in its leaf, over some trees."""
    count = len(rows)
    found = []
    for _ in range(TREES):
        levels = max(0, int(np.ceil(np.log2(max(1.0, count / LEAF)))))
        size = -(-count // 2**levels) * 2**levels
        order = np.concatenate([np.arange(count), np.full(size - count, -1)]).reshape(1, size)
        for _level in range(levels):
            along = rows @ rng.standard_normal(rows.shape[1], dtype=np.float32)
            order = np.take_along_axis(order, np.argsort(np.append(along, np.inf)[order], axis=1, kind="stable"), 1)
            order = order.reshape(2 * len(order), -1)
        for leaf in order:
            places = leaf[leaf >= 0]
            if len(places) > 1:
                some = rows[places]
                size_ = (some**2).sum(1)
                square = size_[:, None] + size_ - 2 * some @ some.T
                np.fill_diagonal(square, np.inf)
                best = places[square.argmin(1)]
                found.append(np.stack([np.minimum(places, best), np.maximum(places, best)], 1))
    return np.unique(np.concatenate(found), axis=0)


def distances(rows: Array, rng: np.random.Generator) -> Array:
    """How far each row is from its nearest few in a sample."""
    sample = np.sort(rng.permutation(len(rows))[: min(SAMPLE, max(8, len(rows) // 4))])
    found: Array = np.sqrt(_usual(rows, sample)[0])
    return found
