"""Long samples by each policy, rows that share samples, and what the report says of both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.language.codec import Encoded
from tunesmith.data.language.lengths import fitted, labels_in, pieces_of
from tunesmith.data.language.packing import IGNORED, laid_out, packed
from tunesmith.data.language.samples import Sample
from tunesmith.records import DataError

END = 2


def chat(prompt: int, reply: int, first: int = 10) -> Encoded:
    """A prompt and a reply that ends."""
    count = prompt + reply
    tokens = np.arange(first, first + count, dtype=np.int32)
    tokens[-1] = END
    return Encoded(tokens, np.arange(count) >= prompt, np.where(np.arange(count) < prompt, 2, 3).astype(np.int8))


def samples(count: int) -> list[Sample]:
    return [Sample(row, f"row {row}") for row in range(count)]


CHATS = [chat(3, 3), chat(4, 8), chat(10, 2)]  # 6, 12 and 12 tokens


@pytest.mark.parametrize(
    ("policy", "rows", "labels_lost", "ends_lost", "left_out"),
    [("truncate", [0, 1], 6, 2, 1), ("drop", [0], 10, 2, 2), ("split", [0, 1, 1, 2], 0, 0, 0)],
)
def test_each_policy_loses_what_the_report_says(policy, rows, labels_lost, ends_lost, left_out):
    made, report = fitted(CHATS, samples(3), 8, policy, {END})

    assert [piece.sample for piece in made] == rows
    assert max(len(piece.coded) for piece in made) <= 8
    assert (report.over, report.left_out, report.labels) == (2, left_out, 13)
    assert (report.labels_lost, report.ends, report.ends_lost) == (labels_lost, 3, ends_lost)
    assert [piece.cut for piece in made] == [row > 0 for row in rows]


def test_a_truncated_sample_teaches_no_ending():
    made, _ = fitted([chat(4, 8)], samples(1), 8, "truncate", {END})

    assert END not in made[0].coded.tokens


def test_error_names_the_longest():
    with pytest.raises(
        DataError, match=r"2 of 3 samples have more than max_seq_len = 8 tokens, the longest 12 \(row 1\)"
    ):
        fitted(CHATS, samples(3), 8, "error", {END})


@given(prompt=st.integers(1, 40), reply=st.integers(1, 40), limit=st.integers(2, 20))
def test_splitting_keeps_every_label_once(prompt, reply, limit):
    whole = chat(prompt, reply)

    pieces = pieces_of(whole, 0, limit, "split")

    kept = [piece.coded.tokens[1:][piece.coded.trained[1:]] for piece in pieces]
    assert np.concatenate(kept).tolist() == whole.tokens[1:][whole.trained[1:]].tolist()
    assert all(len(piece.coded) <= limit for piece in pieces)
    assert sum(labels_in(piece.coded) for piece in pieces) == labels_in(whole)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), spare=st.integers(0, 30))
def test_packing_puts_each_sample_into_one_row_with_room(lengths, spare):
    room = max(lengths) + spare
    sizes = np.array(lengths)

    rows = packed(sizes, room)

    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    filled = [int(sizes[row].sum()) for row in rows]
    assert max(filled) <= room
    # best fit: two rows are never both half empty
    assert sum(2 * one <= room for one in filled) <= 1


def test_samples_of_a_row_keep_their_own_segments_positions_and_targets():
    coded = [chat(2, 2), chat(1, 3, first=50), chat(2, 4, first=90)]

    arrays = laid_out(coded, [[0, 1], [2]], padding=0, length=9)

    assert arrays["tokens"][0].tolist() == [10, 11, 12, 2, 50, 51, 52, 2, 0]
    assert arrays["segments"][0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 0]
    assert arrays["positions"][0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert arrays["target"][0].tolist() == [IGNORED, 12, 2, IGNORED, 51, 52, 2, IGNORED, IGNORED]
    assert arrays["lengths"].tolist() == [8, 6]
    assert arrays["roles"][0].tolist()[:7] == [2, 3, 3, 0, 3, 3, 3]
