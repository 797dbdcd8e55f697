"""Samples longer than `max_seq_len`: cut, left out, divided or refused, and what each way costs.

truncate  the end is lost, with its end token: a sample that was cut teaches no ending
drop      the sample is left out
split     pieces of `max_seq_len` tokens; each begins with the last token of the one before, so that no label is lost
error     nothing is trained
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tunesmith.data.language.codec import Encoded
from tunesmith.data.language.samples import Sample
from tunesmith.data.spec import Array
from tunesmith.records import DataError

POLICIES = ("truncate", "drop", "split", "error")


@dataclass(frozen=True, slots=True)
class SampleLengths:
    """How long the samples of a part are, in tokens, and what `limit` takes from them. Labels are tokens that train."""

    samples: int
    median: float
    high: float  # 95 of 100 samples are no longer
    longest: int
    limit: int
    policy: str
    over: int  # samples longer than the limit
    left_out: int  # samples, also those that have no label left
    pieces: int  # rows that come of the samples
    tokens: int
    tokens_lost: int
    labels: int
    labels_lost: int
    ends: int  # samples that train an end token
    ends_lost: int  # of them, those that no longer do

    @property
    def shares(self) -> tuple[float, float]:
        """Of samples over the limit, of labels lost."""
        return self.over / max(1, self.samples), self.labels_lost / max(1, self.labels)


@dataclass(frozen=True, slots=True)
class Piece:
    """A row to train on: some tokens of a sample, in a row."""

    coded: Encoded
    sample: int  # place among the samples
    cut: bool  # whether tokens of the sample are missing here


def fitted(
    coded: Sequence[Encoded], samples: Sequence[Sample], limit: int, policy: str, ends: Collection[int]
) -> tuple[list[Piece], SampleLengths]:
    """The samples as pieces of at most `limit` tokens, and the report. Pieces without a label are left out.

    Raises `DataError` with `policy = "error"`.
    """
    if policy == "error":
        _refuse_long(coded, samples, limit)
    made: list[Piece] = []
    kept = 0
    for number, one in enumerate(coded):
        found = [piece for piece in pieces_of(one, number, limit, policy) if labels_in(piece.coded)]
        made += found
        kept += bool(found)
    return made, _report(coded, made, kept, limit, policy, ends)


def pieces_of(one: Encoded, number: int, limit: int, policy: str) -> list[Piece]:
    """The rows that a sample becomes.

    >>> whole = Encoded(np.arange(7), np.ones(7, bool), np.zeros(7, np.int8))
    >>> [piece.coded.tokens.tolist() for piece in pieces_of(whole, 0, 4, "split")]
    [[0, 1, 2, 3], [3, 4, 5, 6]]
    """
    if len(one) <= limit:
        return [Piece(one, number, cut=False)]
    if policy == "drop":
        return []
    if policy == "truncate":
        return [Piece(one.piece(0, limit), number, cut=True)]
    starts = range(0, len(one) - 1, limit - 1)
    return [Piece(one.piece(start, start + limit), number, cut=True) for start in starts]


def labels_in(one: Encoded) -> int:
    """Tokens that are foretold and train: the first token has nothing before it."""
    return int(one.trained[1:].sum())


def trains_end(one: Encoded, ends: Collection[int]) -> bool:
    """Whether an end token is among the labels."""
    return bool(np.isin(one.tokens[1:][one.trained[1:]], list(ends)).any())


def long_systems(coded: Sequence[Encoded], samples: Sequence[Sample], limit: int) -> list[int]:
    """Places of the samples whose system prompt alone fills the limit."""
    return [
        number for number, one in enumerate(coded) if int((one.roles == 1).sum()) >= limit and samples[number].turns
    ]


def _refuse_long(coded: Sequence[Encoded], samples: Sequence[Sample], limit: int) -> None:
    over = [number for number, one in enumerate(coded) if len(one) > limit]
    if over:
        worst = max(over, key=lambda number: len(coded[number]))
        raise DataError(
            f"{len(over)} of {len(coded)} samples have more than max_seq_len = {limit} tokens, the longest {len(coded[worst])} "
            f"({samples[worst].place}), and data.too_long = 'error' forbids to cut; raise data.max_seq_len or choose truncate, drop or "
            "split"
        )


def _report(
    coded: Sequence[Encoded], made: Sequence[Piece], kept: int, limit: int, policy: str, ends: Collection[int]
) -> SampleLengths:
    lengths = np.array([len(one) for one in coded], np.int64)
    labels = sum(labels_in(one) for one in coded)
    ended = {number for number, one in enumerate(coded) if trains_end(one, ends)}
    still = {piece.sample for piece in made if trains_end(piece.coded, ends)}
    shared = sum(1 for one, other in pairwise(made) if one.sample == other.sample)
    tokens = int(lengths.sum())
    return SampleLengths(
        samples=len(coded),
        median=float(np.median(lengths)) if len(lengths) else 0.0,
        high=float(np.quantile(lengths, 0.95)) if len(lengths) else 0.0,
        longest=int(lengths.max(initial=0)),
        limit=limit,
        policy=policy,
        over=int((lengths > limit).sum()),
        left_out=len(coded) - kept,
        pieces=len(made),
        tokens=tokens,
        tokens_lost=tokens - (sum(len(piece.coded) for piece in made) - (shared if policy == "split" else 0)),
        labels=labels,
        labels_lost=labels - sum(labels_in(piece.coded) for piece in made),
        ends=len(ended),
        ends_lost=len(ended - still),
    )


def lengths_of(coded: Sequence[Encoded]) -> Array:
    """Tokens of each sample."""
    return np.array([len(one) for one in coded], np.int64)
