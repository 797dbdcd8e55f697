"""A batch as it is trained on, back in words: which text stands in each row, and which tokens the loss is taken on.

Everything comes from the tensors of the batch, nothing from what they were made of, so that a mistake on the way shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from tunesmith.data.language.codec import Codec
from tunesmith.data.language.packing import IGNORED
from tunesmith.data.spec import Array
from tunesmith.records import DataError


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    """One row of a batch. `runs` are its text in pieces, each with whether its tokens train; `tokens` one by one."""

    number: int  # in the batch, from 1 on
    runs: tuple[tuple[str, bool], ...]
    tokens: tuple[tuple[int, str, bool], ...]  # the number, its text, whether it trains
    trained: int
    ends: int  # end tokens that train

    @property
    def length(self) -> int:
        return len(self.tokens)


def previewed(tokens: Array, target: Array, codec: Codec) -> list[PreviewedRow]:
    """The rows of a batch: tokens (N, L) and their targets (N, L), the target of a place being the token after it.

    Raises `DataError` where a target is another token than the one that follows: the labels are not shifted by one.
    """
    rows = []
    for number, (row, labels) in enumerate(zip(tokens, target, strict=True), start=1):
        _refuse_unshifted(row, labels, number)
        length = _length(row, labels, codec.padding)
        trains = np.zeros(length, bool)
        trains[1:] = labels[: length - 1] != IGNORED
        listed = row[:length].tolist()
        marked = list(zip(listed, trains.tolist(), strict=True))
        runs = tuple(
            (codec.decode([token for token, _ in group]), flag)
            for flag, group in groupby(marked, key=lambda one: one[1])
        )
        ends = sum(token in codec.ends for token, flag in marked if flag)
        single = tuple((token, codec.decode([token]), flag) for token, flag in marked)
        rows.append(PreviewedRow(number, runs, single, int(trains.sum()), ends))
    return rows


def _length(row: Array, labels: Array, padding: int) -> int:
    """Tokens before the padding; one that is foretold is none, also where it is the same token."""
    real = np.flatnonzero(row != padding)
    foretold = np.flatnonzero(labels != IGNORED)
    return max(int(real.max(initial=-1)) + 1, int(foretold.max(initial=-2)) + 2)


def _refuse_unshifted(row: Array, labels: Array, number: int) -> None:
    places = np.flatnonzero(labels[:-1] != IGNORED)
    wrong = places[labels[places] != row[places + 1]]
    if len(wrong):
        place = int(wrong[0])
        raise DataError(
            f"row {number} of the batch: the target at place {place} is token {int(labels[place])}, and the token that follows is "
            f"{int(row[place + 1])}; expected targets that are the inputs shifted by one"
        )


def shown_first(rows: Sequence[PreviewedRow], most: int) -> list[PreviewedRow]:
    """The rows worth showing first: the shortest that train an end, then the others as they come."""
    order = sorted(range(len(rows)), key=lambda place: (not rows[place].ends, rows[place].length, place))
    return [rows[place] for place in order[:most]]
