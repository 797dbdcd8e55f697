"""Pairs of texts that share most of their pieces: resemblance, found by min-wise hashing.

Pieces are runs of four letters of the bare text, resemblance is the share of pieces that two texts have in common: Broder,
On the resemblance and containment of documents, SEQUENCES 1997, sections 2 and 3; bands of hashes: Leskovec, Rajaraman &
Ullman, Mining of Massive Datasets, section 3.4. Candidates are then counted exactly.
"""

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.features_keys import mixed
from tunesmith.doctor.audits.near_pictures import NearPairs

LETTERS = 4  # of a piece; assumption
BANDS, ROWS = 20, 4  # 1 - (1 - r^4)^20: 0.99 at a resemblance of 0.7; Leskovec et al., section 3.4.2
ALIKE = 0.7  # measured: benchmarks/duplicates.md
SHORTEST = 20  # letters of a text that is looked at: shorter ones are alike by nature; assumption
LONGEST = 4000  # letters of a text that are looked at; assumption
CHUNK = 400_000  # letters hashed at a time


def near_texts(texts: list[str]) -> NearPairs:
    """The pairs of `ALIKE` or more among bare texts, the most alike first.

    >>> one = "the quick brown fox jumps over the lazy dog near the river"
    >>> near_texts([one, "something else altogether, of another kind", one + " bank"]).pairs.tolist()
    [[0, 2]]
    """
    long = np.array([place for place, text in enumerate(texts) if len(text) >= SHORTEST], np.int64)
    none = NearPairs(np.empty((0, 2), np.int64), np.empty(0), 0.0)
    if len(long) < 2:
        return none
    pieces, starts = _pieces([texts[place][:LONGEST] for place in long])
    pairs = _candidates(_signatures(pieces, starts))
    if not len(pairs):
        return none
    likeness = _resemblance(pieces, starts, pairs)
    kept = np.flatnonzero(likeness >= ALIKE)
    kept = kept[np.argsort(-likeness[kept], kind="stable")]
    return NearPairs(long[pairs[kept]], likeness[kept], 0.0)


def _pieces(texts: list[str]) -> tuple[Array, Array]:
    """uint64 pieces of all texts, one text after the other, and where each begins."""
    letters = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.uint64)
    sizes = np.array([len(text) for text in texts])
    found = np.zeros(len(letters), np.uint64)
    with np.errstate(over="ignore"):
        for place in range(LETTERS):
            found[: len(letters) - LETTERS + 1] += letters[place : len(letters) - LETTERS + 1 + place] << np.uint64(
                16 * place
            )
    ends = np.cumsum(sizes)
    inside = np.ones(len(letters), bool)
    for place in range(1, LETTERS):
        inside[ends - place] = False
    return mixed(found[inside]), np.r_[0, np.cumsum(sizes - LETTERS + 1)[:-1]]


def _signatures(pieces: Array, starts: Array) -> Array:
    """uint64 (N, BANDS): each band is the joint hash of the smallest piece under `ROWS` orders."""
    made = np.zeros((len(starts), BANDS), np.uint64)
    ends = np.r_[starts[1:], len(pieces)]
    first = 0
    while first < len(starts):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + CHUNK, side="right")))
        some = pieces[starts[first] : ends[last - 1]]
        with np.errstate(over="ignore"):
            for order in range(BANDS * ROWS):
                spin = mixed(np.array([order + 1], np.uint64))
                seen = (some ^ spin) * (spin | np.uint64(1))
                lowest = np.minimum.reduceat(seen ^ (seen >> np.uint64(32)), starts[first:last] - starts[first])
                made[first:last, order // ROWS] = mixed(made[first:last, order // ROWS] + lowest)
        first = last
    return made


def _candidates(signatures: Array) -> Array:
    """int64 (M, 2): in each band, each text with the one before it and the first of the same hash."""
    found = []
    for band in signatures.T:
        order = np.argsort(band, kind="stable")
        same = np.flatnonzero(band[order[1:]] == band[order[:-1]]) + 1
        if not len(same):
            continue
        begins = np.r_[True, band[order[1:]] != band[order[:-1]]]
        head = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
        found += [np.stack([order[same - 1], order[same]], 1), np.stack([order[head[same]], order[same]], 1)]
    return np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), np.int64)


def _resemblance(pieces: Array, starts: Array, pairs: Array) -> Array:
    """Shared pieces over all pieces, each counted once."""
    from scipy.sparse import csr_array

    ends = np.r_[starts[1:], len(pieces)]
    needed, numbers = np.unique(pairs, return_inverse=True)
    numbers = numbers.reshape(pairs.shape)
    owner = np.repeat(np.arange(len(needed)), ends[needed] - starts[needed])
    held = np.concatenate([pieces[starts[one] : ends[one]] for one in needed])
    names, columns = np.unique(held, return_inverse=True)
    grid = csr_array((np.ones(len(held), np.int32), (owner, columns)), shape=(len(needed), len(names)))
    grid.sum_duplicates()
    grid.data[:] = 1
    sizes = np.diff(grid.indptr)
    common = np.concatenate(
        [
            np.asarray(
                grid[numbers[start : start + 4096, 0]].multiply(grid[numbers[start : start + 4096, 1]]).sum(1)
            ).ravel()
            for start in range(0, len(numbers), 4096)
        ]
    )
    found: Array = common / (sizes[numbers[:, 0]] + sizes[numbers[:, 1]] - common)
    return found
