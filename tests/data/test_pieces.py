import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.tokenizers.pieces import Pieces, engine_of
from tunesmith.records import DataError

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["ab", "bc", " a", " ab", "a", "b", "c", " ", "é"]


def small():
    return Pieces(["<unk>", "<s>", "</s>", *BYTES, *WORDS], [0.0] * 259 + [5, 9, 0, 0] + [-1.0] * 5, begin=1, end=2)


def pieces_of(tokenizer, text):
    return [tokenizer.pieces[token] for token in tokenizer.encode([text])[0]]


def test_the_pair_of_the_highest_score_is_joined_first():
    assert pieces_of(small(), "abc") == [" a", "bc"]
    assert pieces_of(small(), "ab") == [" ab"]


def test_of_equal_scores_the_first_pair_is_joined():
    tokenizer = Pieces(["<unk>", "<s>", "</s>", " ", "a", "aa"], [0.0] * 6, begin=1, end=2)

    assert pieces_of(tokenizer, "aaa") == [" ", "aa", "a"]


def test_a_character_without_a_piece_becomes_its_bytes():
    assert pieces_of(small(), "慢") == [" ", "<0xE6>", "<0x85>", "<0xA2>"]


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_text_comes_back(text):
    tokenizer = small()

    assert tokenizer.decode(tokenizer.encode([text])[0].tolist()) == text


def test_texts_are_put_in_a_row():
    tokens, starts = small().encode(["ab", "", "c"])

    assert starts.tolist() == [0, 1, 1, 3]
    assert tokens.tolist() == [*small().encode(["ab"])[0], *small().encode(["c"])[0]]


def test_the_marks_of_a_text_are_not_shown_and_json_carries_it_all():
    tokenizer = small()
    again = Pieces.from_json(json.loads(json.dumps(tokenizer.to_json())))

    assert tokenizer.decode([1, *tokenizer.encode(["ab"])[0].tolist(), 2]) == "ab"
    assert again.encode(["abc é"])[0].tolist() == tokenizer.encode(["abc é"])[0].tolist()
    assert (again.vocabulary, again.begin, again.end) == (268, 1, 2)


def test_a_folder_without_such_a_tokenizer_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"holds no tokenizer\.json; expected the folder of a model"):
        Pieces.from_folder(tmp_path)
    file = tmp_path / "tokenizer.json"
    for text, said in (
        ("{", "is no JSON"),
        ('{"model": {}}', "is no table of pieces with scores"),
        ('{"pieces": ["a"], "scores": [], "bos_id": 1, "eos_id": 2}', "has 1 pieces and 0 scores; copy it again"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            Pieces.from_folder(tmp_path)


def test_the_pieces_of_a_trained_model(shared):
    tokenizer = Pieces.from_folder(shared / "data/models/stories260k")

    assert pieces_of(tokenizer, "Once upon a time") == [" Once", " upon", " a", " time"]
    assert tokenizer.vocabulary == 512


def test_the_engine_that_knows_places_gives_the_same_tokens(shared):
    tokenizer = Pieces.from_folder(shared / "data/models/stories260k")
    engine = engine_of(tokenizer)
    texts = [
        "Once upon a time, there was a little girl named Lily.",
        "  two  spaces\n\nand lines",
        "慢 é 🙂",
        "aaaaaaa",
        "!",
    ]

    for text in texts:
        coded = engine.encode(text, add_special_tokens=False)
        assert coded.ids == tokenizer.encode([text])[0].tolist()
        assert engine.decode(coded.ids) == tokenizer.decode(coded.ids) == text
    assert engine.encode("<s>a</s>").ids[::2] == [tokenizer.begin, tokenizer.end]
