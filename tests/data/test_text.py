import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.spec import Tokens
from tunesmith.data.text import TextBlock, auto_length, padded
from tunesmith.data.tokenizers import END, UNKNOWN
from tunesmith.records import DataError
from tunesmith.records.sections import DataSection

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).parents[2] / ".." / "shared"))


def table(*texts):
    return {"t": np.array(texts, object)}


def block(texts, **settings):
    made = TextBlock(["t"], DataSection(**{"tokenizer": "char", "min_count": 1, **settings}))
    made.fit(table(*texts))
    return made


def cut(length, policy, end):
    """The reference: one row at a time, by slices."""

    def one(row):
        room = length - end
        if len(row) > room:
            head = (room + 1) // 2
            row = {
                "cut_end": row[:room],
                "cut_start": row[len(row) - room :],
                "cut_middle": row[:head] + row[len(row) - room + head :],
            }[policy]
        row = [*row, END] if end else row or [UNKNOWN]
        return row + [0] * (length - len(row))

    return one


@given(
    st.lists(st.lists(st.integers(3, 99), max_size=9), max_size=6),
    st.integers(2, 8),
    st.sampled_from(["cut_end", "cut_start", "cut_middle"]),
    st.booleans(),
)
def test_padding_and_cutting_equal_the_row_by_row_reference(rows, length, policy, end):
    values = np.array([token for row in rows for token in row], np.int32)
    offsets = np.cumsum([0, *map(len, rows)])

    tokens = padded(values, offsets, length, policy, end=end)

    assert tokens.dtype == np.int32
    assert tokens.tolist() == [cut(length, policy, end)(row) for row in rows]


@pytest.mark.parametrize(("policy", "kept"), [("cut_end", "abcd"), ("cut_start", "cdef"), ("cut_middle", "abef")])
def test_a_long_text_loses_what_the_policy_says(policy, kept):
    made = block(["abcdef", "a"], max_seq_len=4, too_long=policy)

    assert made.inverse(made.transform(table("abcdef")))["t"].tolist() == [kept]


def test_the_end_of_text_survives_a_cut_and_that_is_said():
    made = block(["abcdef", "a"], max_seq_len=4, end_of_text=True)

    tokens = made.transform(table("abcdef", "a"))

    assert tokens[:, -1].tolist() == [END, 0]
    assert tokens[1, 1] == END
    assert "the end-of-text token is kept in every text that was cut" in made.notices
    assert made.findings[0].because.endswith("end-of-text is kept")


def test_the_report_counts_exactly():
    report = block(["abcdef", "ab", "a", ""], max_seq_len=2).report

    assert (report.rows, report.median, report.longest, report.limit) == (4, 1.5, 6, 2)
    assert (report.cut, report.lost, report.tokens) == (1, 4, 9)
    assert (report.empty, report.missing) == (1, 0)
    assert report.high == np.quantile([6, 2, 1, 0], 0.95)


def test_a_cut_is_a_finding_with_numbers_in_both_languages():
    (finding,) = block(["abcdef", "ab"], max_seq_len=4).findings

    assert (finding.fault, finding.severity) == ("data.too_long", "warning")
    assert "cuts 1 of 2 texts (50.00%, cut_end) and loses 2 of 8 tokens (25.00%)" in finding.because
    assert "截断 2 条文本中的 1 条" in finding.text("zh")
    assert [remedy.change for remedy in finding.remedies] == [{"data.max_seq_len": 6}, {"data.too_long": "cut_middle"}]


def test_a_small_cut_is_a_note_and_no_cut_is_none():
    texts = ["abcd"] * 99 + ["abcde"]

    severities = [[finding.severity for finding in block(texts, max_seq_len=length).findings] for length in (4, 5)]

    assert severities == [["note"], []]


@pytest.mark.parametrize(
    ("lengths", "length"),
    [
        ([3], 3),  # never longer than the longest
        ([0, 0], 1),
        ([50] * 10 + [63], 63),
        ([10] * 999 + [400], 64),
        ([100] * 999 + [400], 104),
        ([2000] * 5, 512),
    ],
)
def test_the_length_of_auto(lengths, length):
    assert auto_length(np.array(lengths)) == length


def test_auto_under_error_holds_the_longest_training_text():
    made = block(["a" * 10] * 999 + ["a" * 300], too_long="error")

    assert made.spec().length == 300
    assert made.findings == ()


def test_error_refuses_a_text_that_is_too_long_in_fit_and_in_transform():
    made = block(["abc", "ab"], max_seq_len=3, too_long="error")

    with pytest.raises(
        DataError, match=r"1 of 2 texts of text column 't' have more than max_seq_len = 3 tokens, the longest 4"
    ):
        made.transform(table("abcd", "a"))
    with pytest.raises(DataError, match=r"data\.too_long = error forbids to cut"):
        block(["abcd"], max_seq_len=3, too_long="error")


def test_empty_and_missing_texts_are_one_unknown_token_and_told():
    made = block(["abc", "", None])

    tokens = made.transform(table("", None, "a"))

    assert tokens[:, 0].tolist() == [UNKNOWN, UNKNOWN, made.transform(table("a"))[0, 0]]
    assert (tokens[:, 1:] == 0).all()
    assert any(
        notice.startswith("2 of 3 texts hold no token (1 of them are missing values)") for notice in made.notices
    )
    assert made.remarks(table("", "a")) == (
        "1 of 2 texts hold no token (0 of them are missing values); each becomes a single unknown or end-of-text token",
    )


def test_remarks_tell_what_new_texts_lose():
    made = block(["abc"])

    remarks = made.remarks(table("abcabc", "a"))

    assert "max_seq_len = 3 cuts 1 of 2 texts (50.00%, cut_end) and loses 3 of 7 tokens" in remarks[0]
    assert made.remarks(table("abc")) == ()


def test_several_columns_become_one_row():
    made = TextBlock(["title", "body"], DataSection(tokenizer="char", min_count=1))
    columns = {"title": np.array(["ab", None], object), "body": np.array(["c", "b"], object)}

    made.fit(columns)

    assert made.inverse(made.transform(columns))["title"].tolist() == ["ab\nc", "b"]


def test_half_characters_do_not_stop_any_tokenizer():
    for name in ("byte", "char", "word", "bpe"):
        made = block(["ab \ud83d cd"] * 3, tokenizer=name)

        assert len(made.transform(table("\udfff a"))) == 1


def test_the_vocabulary_comes_from_the_training_texts_alone():
    made = block(["aaa"])

    tokens = made.transform(table("ab"))

    assert tokens.tolist() == [[3, UNKNOWN, 0]]
    assert made.spec() == Tokens(vocabulary=4, length=3)


def test_what_auto_stood_for_is_kept_with_its_reason():
    made = TextBlock(["t"], DataSection())

    made.fit(table("很快，好吃", "很好"))

    assert made.derived["data.tokenizer"][0] == "char"
    assert made.derived["data.max_seq_len"] == (
        5,
        "min(longest, max(64, 99% quantile of training lengths, up to a multiple of 8), 512)",
    )


@pytest.mark.parametrize("name", ["byte", "char", "word", "bpe"])
def test_json_restores_the_block(name):
    made = block(
        ["the cat", "a dog sat there", "", None], tokenizer=name, max_seq_len=5, too_long="cut_middle", end_of_text=True
    )
    new = table("the dog and a cat", None, "sat")

    again = TextBlock.from_json(json.loads(json.dumps(made.to_json())))

    assert again.spec() == made.spec()
    assert again.names == made.names
    assert (again.transform(new) == made.transform(new)).all()


@pytest.mark.parametrize("texts", [[], [None, ""], ["  "]])
def test_a_column_without_text_is_refused(texts):
    with pytest.raises(DataError, match="text column 't' has no text"):
        block(texts)


def test_no_room_beside_the_end_is_refused():
    with pytest.raises(DataError, match="max_seq_len = 1 leaves no room beside the end-of-text token"):
        block(["ab"], max_seq_len=1, end_of_text=True)


@pytest.mark.skipif(
    not (SHARED / "data" / "text" / "waimai_10k.csv.gz").is_file(), reason="the shared data folder is absent"
)
def test_real_chinese_reviews_become_characters_and_few_are_cut():
    with gzip.open(SHARED / "data" / "text" / "waimai_10k.csv.gz", "rt", encoding="utf-8") as file:
        texts = [line.split(",", 1)[1].strip() for line in file][1:]
    made = TextBlock(["t"], DataSection())

    made.fit(table(*texts))

    assert made.tokenizer.kind == "char"
    assert made.report.cut <= 0.01 * len(texts)
    assert made.report.unknown < 0.005 * made.report.tokens
