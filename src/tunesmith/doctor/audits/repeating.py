"""Whether texts of one sample repeat each other more than those of another: an exact permutation test."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.near_text import near_texts

TURNS = 999  # permutations: a chance of 1 in 1,000 at the least
MOST = 5_000  # texts of each sample that are looked at; assumption


@dataclass(frozen=True, slots=True)
class Repeats:
    """Shares of texts that repeat another of their own sample, exactly or nearly, among `rows` of each."""

    rows: int
    newer: float
    older: float
    chance: float  # of a difference as large where both are of one law


def repeats(newer: list[str], older: list[str], rng: np.random.Generator) -> Repeats:
    """Of bare texts; as many of each sample, drawn at random, since repeats grow with the number of texts.

    >>> import numpy as np
    >>> found = repeats(["the same old sentence"] * 60, [str(n) for n in range(60)], np.random.default_rng(0))
    >>> found.newer, found.older, found.chance
    (1.0, 0.0, 0.001)
    """
    rows = min(len(newer), len(older), MOST)
    chosen = [one[place] for one in (newer, older) for place in rng.permutation(len(one))[:rows].tolist()]
    mixed = rng.permutation(2 * rows)  # so that the search for near copies cannot know the samples
    group = _groups([chosen[place] for place in mixed.tolist()])
    mine = mixed < rows
    seen = _repeated(group, mine)
    apart = seen[0] - seen[1]
    turned = [_repeated(group, rng.permutation(mine)) for _ in range(TURNS)]
    chance = (1 + sum(one - other >= apart for one, other in turned)) / (1 + TURNS)
    return Repeats(rows, seen[0] / rows, seen[1] / rows, chance)


def _groups(texts: list[str]) -> Array:
    """A number for each text: the same for copies and near copies of each other; -1 for an empty one."""
    unique, place = np.unique(np.array(texts, object).astype(str), return_inverse=True)
    first = np.full(len(unique), len(texts))
    np.minimum.at(first, place.reshape(-1), np.arange(len(texts)))
    order = np.argsort(first)  # as they came, not by alphabet
    pairs = order[near_texts([str(unique[one]) for one in order]).pairs]
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(unique), len(unique)))
    found: Array = connected_components(graph, directed=False)[1][place.reshape(-1)]
    return np.where(np.array([not text for text in texts]), -1, found)


def _repeated(group: Array, mine: Array) -> tuple[int, int]:
    """Texts with another of their group on their own side: mine, and the others'."""
    told = []
    for side in (mine, ~mine):
        held = group[side & (group >= 0)]
        counts = np.bincount(held) if len(held) else np.zeros(0, int)
        told.append(int(counts[counts > 1].sum()))
    return told[0], told[1]
