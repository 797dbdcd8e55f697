"""Which rows lie nearest to each other, by blocks of a matrix product; what a mirror image does to it.

A picture and its mirror image share the part that mirroring leaves and differ in the sign of the rest, so with rows split
into an even and an odd half the better of the two likenesses is `even + |odd|`: mirror images cost nothing.
"""

from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array

BLOCK = 1024  # rows and columns formed at a time: 4 MB; measured
BLOCKS = 12  # at least so many blocks a side: one candidate is taken of each; assumption


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each row some of the rows most like it, best first; -1 where there are fewer."""

    places: Array  # int64 (N, K)
    likeness: Array  # float32 (N, K), at most 1


def neighbours(even: Array, odd: Array | None = None, *, most: int = 3) -> Neighbours:
    """The rows of greatest `even @ even.T + |odd @ odd.T|`, the best of each block of rows.

    >>> import numpy as np
    >>> found = neighbours(np.eye(3, dtype=np.float32)[[0, 1, 0, 2]], most=1)
    >>> found.places[[0, 2], 0].tolist()
    [2, 0]
    """
    count = len(even)
    size = int(np.clip(-(-count // BLOCKS), 16, BLOCK))
    kept = _Kept(count, min(most, max(1, count - 1)))
    starts = range(0, count, size)
    for first in starts:
        for second in starts:
            if second < first:
                continue
            likeness = against(even, odd, slice(first, first + size), slice(second, second + size))
            if first == second:
                np.fill_diagonal(likeness, -np.inf)
            kept.take(likeness, np.arange(first, first + len(likeness)), second)
            if first != second:
                better = second + kept.better(likeness.max(0), second)
                if len(better):  # formed again the other way round: quicker than picking columns
                    kept.take(against(even, odd, better, slice(first, first + size)), better, first)
    return kept.sorted()


def against(even: Array, odd: Array | None, some: slice | Array, others: slice | Array) -> Array:
    """The likeness of some rows and others, as a matrix."""
    found: Array = even[some] @ even[others].T
    if odd is not None:
        mirrored = odd[some] @ odd[others].T
        np.abs(mirrored, out=mirrored)
        found += mirrored
    return found


class _Kept:
    """The best so far of each row."""

    def __init__(self, count: int, most: int) -> None:
        self.places = np.full((count, most), -1, np.int64)
        self.likeness = np.full((count, most), -np.inf, np.float32)

    def better(self, highest: Array, first: int) -> Array:
        """Which of the rows from `first` on have a better partner than the worst kept, given their highest likeness."""
        return np.flatnonzero(highest > self.likeness[first : first + len(highest)].min(1))

    def take(self, likeness: Array, rows: Array, second: int) -> None:
        better = np.flatnonzero(likeness.max(1) > self.likeness[rows].min(1))
        if len(better):
            best = likeness[better].argmax(1)
            self._put(rows[better], second + best, likeness[better, best])

    def _put(self, rows: Array, places: Array, likeness: Array) -> None:
        worst = self.likeness[rows].argmin(1)
        self.places[rows, worst] = places
        self.likeness[rows, worst] = likeness

    def sorted(self) -> Neighbours:
        order = np.argsort(-self.likeness, axis=1, kind="stable")
        return Neighbours(np.take_along_axis(self.places, order, 1), np.take_along_axis(self.likeness, order, 1))
