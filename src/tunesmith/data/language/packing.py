"""Several samples in one row: which go together, and the arrays that keep them apart.

Best fit, decreasing (Johnson et al., SIAM J. Comput. 3 (1974), 299): the longest first, each into the fullest row that has room.
`segments` numbers the samples of a row from 1 on, 0 is padding; `positions` begins with 0 in each. A model that attends within
segments and counts by positions gives each sample what it gives it alone.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from tunesmith.data.language.codec import Encoded
from tunesmith.data.spec import Array

IGNORED = -100  # torch's ignore_index: no loss is taken there


def packed(lengths: Array, room: int) -> list[list[int]]:
    """Places of the samples in each row of `room` tokens, rows in the order of their first sample.

    >>> packed(np.array([3, 5, 2, 4]), 7)
    [[0, 3], [1, 2]]
    """
    free: list[tuple[int, int]] = []  # (tokens left, row), ascending
    rows: list[list[int]] = []
    for place in np.argsort(-lengths, kind="stable").tolist():
        size = int(lengths[place])
        found = bisect_left(free, (size, -1))
        if found == len(free):
            rows.append([place])
            left, row = room - size, len(rows) - 1
        else:
            left, row = free.pop(found)
            rows[row].append(place)
            left -= size
        if left:
            insort(free, (left, row))
    return sorted((sorted(row) for row in rows), key=lambda row: row[0])


def laid_out(coded: Sequence[Encoded], rows: Sequence[Sequence[int]], *, padding: int, length: int) -> dict[str, Array]:
    """The arrays of all rows, each (N, `length`): tokens, target, segments, positions, roles; and lengths (N,).

    The target of a token is the one after it in its own sample, where that trains, else -100; `roles` go with the target.
    """
    lengths = np.array([sum(len(coded[place]) for place in row) for row in rows], np.int64)
    shape = (len(rows), length)
    made: dict[str, Array] = {
        "tokens": np.full(shape, padding, np.int32),
        "target": np.full(shape, IGNORED, np.int64),
        "segments": np.zeros(shape, np.int32),
        "positions": np.zeros(shape, np.int32),
        "roles": np.zeros(shape, np.int8),
    }
    for number, row in enumerate(rows):
        start = 0
        for segment, one in enumerate((coded[place] for place in row), start=1):
            stop = start + len(one)
            made["tokens"][number, start:stop] = one.tokens
            made["segments"][number, start:stop] = segment
            made["positions"][number, start:stop] = np.arange(stop - start)
            made["target"][number, start : stop - 1] = np.where(
                one.trained[1:], one.tokens[1:].astype(np.int64), IGNORED
            )
            made["roles"][number, start : stop - 1] = one.roles[1:]
            start = stop
    return {**made, "lengths": lengths}
