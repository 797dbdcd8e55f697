import json
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.tokenizers import END, PADDING, RESERVED, TOKENIZERS, UNKNOWN, choose, from_json
from tunesmith.data.tokenizers.bpe import Bpe
from tunesmith.data.tokenizers.byte import Byte
from tunesmith.data.tokenizers.char import Char
from tunesmith.data.tokenizers.word import Word, split
from tunesmith.records import DataError

TEXTS = ["the cat sat", "the dog sat!", "Call 0800 123 now", "很快，好吃", "", "naïve café"] * 3


def rows(tokenizer, texts):
    values, offsets = tokenizer.encode(texts)
    return [values[first:last].tolist() for first, last in pairwise(offsets)]


def test_the_catalogue_holds_the_four():
    assert list(TOKENIZERS) == ["bpe", "byte", "char", "word"]


@pytest.mark.parametrize("name", ["bpe", "byte", "char", "word"])
class TestEvery:
    def test_rows_are_int32_in_the_vocabulary_and_their_offsets_add_up(self, name):
        tokenizer = TOKENIZERS[name].fit(TEXTS)

        values, offsets = tokenizer.encode(["unseen 漢 ☃ words", *TEXTS])

        assert values.dtype == np.int32
        assert offsets.dtype == np.int64
        assert offsets[0] == 0
        assert offsets[-1] == len(values)
        assert len(offsets) == len(TEXTS) + 2
        assert (np.diff(offsets) >= 0).all()
        assert values.min() >= UNKNOWN
        assert values.max() < tokenizer.vocabulary

    def test_a_text_gives_the_same_tokens_alone_and_among_others(self, name):
        tokenizer = TOKENIZERS[name].fit(TEXTS)
        texts = ["the cat 9999", "", "café 好", "sat"]

        together = rows(tokenizer, texts)

        assert together == [rows(tokenizer, [text])[0] for text in texts]
        assert together[1] == []

    def test_no_text_gives_no_row(self, name):
        values, offsets = TOKENIZERS[name].fit(TEXTS).encode([])

        assert (len(values), offsets.tolist()) == (0, [0])

    def test_json_restores_it_exactly(self, name):
        tokenizer = TOKENIZERS[name].fit(TEXTS)

        again = from_json(json.loads(json.dumps(tokenizer.to_json())))

        assert again.to_json() == tokenizer.to_json()
        assert rows(again, TEXTS) == rows(tokenizer, TEXTS)

    def test_fitting_twice_gives_the_same(self, name):
        first, second = (TOKENIZERS[name].fit(TEXTS).to_json() for _ in range(2))

        assert first == second

    def test_padding_and_the_end_decode_to_nothing(self, name):
        tokenizer = TOKENIZERS[name].fit(TEXTS, min_count=1)
        tokens = rows(tokenizer, ["the cat sat"])[0]

        text = tokenizer.decode([*tokens, END, PADDING, PADDING])

        assert text == "the cat sat"

    def test_many_short_texts_take_seconds(self, name):
        texts = ["the cat sat on the mat, call 12345 now"] * 20_000
        tokenizer = TOKENIZERS[name].fit(texts)

        began = time.process_time()
        tokenizer.encode(texts)

        assert time.process_time() - began < 4  # measured: under 1 s


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
@settings(max_examples=50, deadline=None)
def test_bytes_characters_and_byte_pairs_lose_nothing(texts):
    tokenizers = [Byte(), Char.fit(["".join(texts)], min_count=1), Bpe.fit(texts, vocab_size=300, min_count=1)]

    decoded = [[tokenizer.decode(row) for row in rows(tokenizer, texts)] for tokenizer in tokenizers]

    assert decoded == [texts] * 3


def test_bytes_are_utf8_plus_three():
    assert rows(Byte(), ["é"]) == [[0xC3 + RESERVED, 0xA9 + RESERVED]]


def test_half_a_character_becomes_a_question_mark():
    assert rows(Byte(), ["\ud800"]) == [[ord("?") + RESERVED]]


def test_characters_are_numbered_by_frequency_then_by_code():
    tokenizer = Char.fit(["bbb", "ca", "ca"], min_count=1)

    assert tokenizer.pieces == ("b", "a", "c")
    assert rows(tokenizer, ["cabz"]) == [[5, 4, 3, UNKNOWN]]


@pytest.mark.parametrize(("name", "expected"), [("char", ("a", "b")), ("word", ("a", "b"))])
def test_the_vocabulary_has_the_size_asked_for(name, expected):
    fixed = RESERVED + (10 if name == "word" else 0)
    texts = ["a a a b b c"]

    tokenizer = TOKENIZERS[name].fit(
        [text.replace(" ", "") if name == "char" else text for text in texts], vocab_size=fixed + 2, min_count=1
    )

    assert tokenizer.pieces[-2:] == expected
    assert tokenizer.vocabulary == fixed + 2


@pytest.mark.parametrize("name", ["char", "word"])
def test_rare_pieces_are_unknown(name):
    tokenizer = TOKENIZERS[name].fit(["x x y"], min_count=2)

    assert rows(tokenizer, ["y"]) == [[UNKNOWN]]
    assert rows(tokenizer, ["x"]) != [[UNKNOWN]]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Don't stop!!", ["don't", "stop", "!", "!"]),
        ("at 3.14€ (or_so)", ["at", "3", ".", "14", "€", "(", "or", "_", "so", ")"]),
        ("很快 ok", ["很", "快", "ok"]),
        ("मुझे हिन्दी", ["मुझे", "हिन्दी"]),  # vowels and viramas are combining marks
        ("cafe\u0301", ["caf\u00e9"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("Ñandú straße", ["ñandú", "straße"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("a\tb\n\u3000c", ["a", "b", "c"]),
        ("x😀y", ["x", "😀", "y"]),
    ],
)
def test_words_numbers_and_signs_are_told_apart(text, pieces):
    assert split([text], lower=True) == [pieces]


def test_case_is_kept_on_request():
    tokenizer = Word.fit(["Apple apple apple"], min_count=1, lower=False)

    assert tokenizer.pieces[-2:] == ("apple", "Apple")


def test_an_unknown_number_is_spelt_and_a_known_one_is_not():
    tokenizer = Word.fit(["call 2000", "in 2000"], min_count=2)

    assert [tokenizer.decode(row) for row in rows(tokenizer, ["2000 42 x7", "٣"])] == ["2000 4 2 \ufffd 7", "3"]


def test_a_text_that_spells_a_special_token_stays_text():
    texts = ["<pad> <unk> </s> <end>"]
    tokenizer = Bpe.fit(texts, min_count=1)

    assert all(token >= RESERVED for token in rows(tokenizer, texts)[0])


def test_byte_pairs_merge_the_most_frequent_pair_first():
    tokenizer = Bpe.fit(["abab"] * 4 + ["bc"] * 3, vocab_size=RESERVED + 256 + 1, min_count=1)

    assert tokenizer.merges == (("a", "b"),)
    assert len(rows(tokenizer, ["abc"])[0]) == 2


@pytest.mark.parametrize(("name", "size"), [("bpe", 200), ("char", 3), ("word", 13)])
def test_a_vocabulary_without_room_is_refused(name, size):
    with pytest.raises(DataError, match=rf"a vocabulary of {size} .*data\.vocab_size"):
        TOKENIZERS[name].fit(TEXTS, vocab_size=size)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["很快，好吃，味道足，量大"], "char"),
        (["今日はとても良い天気です"], "char"),
        (["สวัสดีครับ ยินดีต้อนรับ"], "char"),
        (["iPhone 16 Pro 的电池很好用，推荐购买"], "char"),
        (["the quick brown fox", "好"], "word"),
        (["한국어 문장 입니다"], "word"),
        (["привет мир"], "word"),
        (["नमस्ते दुनिया"], "word"),
        (["123 456", ""], "word"),
        ([], "word"),
    ],
)
def test_auto_goes_by_the_script(texts, name):
    assert choose(texts)[0] == name


def test_auto_says_why():
    assert choose(["a b 好"])[1] == "characters of scripts without spaces between words: 1, words of others: 2"
