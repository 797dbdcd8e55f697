"""Tokens and masks: of Transformers, token by token, and of an independent count over the letters."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.data.language.codec import Encoded
from tunesmith.data.language.fitted import FittedCodec
from tunesmith.data.language.folder import FolderCodec
from tunesmith.data.language.reading import read_samples
from tunesmith.data.language.samples import ROLES, Sample, Turn
from tunesmith.data.tokenizers import END, RESERVED
from tunesmith.records import DataError

CHAT = Path(__file__).parents[2] / "golden" / "chat"
TURNS = (
    Turn("system", "Be kind."),
    Turn("user", "Hi"),
    Turn("assistant", "Hello"),
    Turn("user", "Bye"),
    Turn("assistant", "好"),
)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(gzip.decompress((CHAT / "masks.json.gz").read_bytes()))


def folder(**changes: Any) -> FolderCodec:
    return FolderCodec.read(CHAT, **{"end_of_text": False, **changes})


def fitted(samples: list[Sample], name: str = "byte", **about: Any) -> FittedCodec:
    return FittedCodec.fit(samples, name=name, **{"vocab_size": 400, "min_count": 1, "end_of_text": True, **about})


@pytest.mark.parametrize("template", ["auto", "plain.jinja"])
def test_masks_are_those_of_transformers(golden, template):
    """The template with generation tags goes by them, the same one without goes by turns: both give what Transformers gives."""
    samples = read_samples(golden["samples"]).samples
    codec = folder(template=template if template == "auto" else str(CHAT / template))

    coded = codec.encode(samples, ["assistant"])

    assert len(coded) == 200
    for one, tokens, spans in zip(coded, golden["tokens"], golden["trained"], strict=True):
        expected = np.zeros(len(tokens), bool)
        for start, stop in spans:
            expected[start:stop] = True
        assert one.tokens.tolist() == tokens
        assert np.array_equal(one.trained, expected)


def by_hand(sample: Sample, trains: set[str]) -> tuple[list[int], list[bool]]:
    """The layout written out byte by byte."""
    tokens: list[int] = []
    trained: list[bool] = []

    def put(text: str, flag: bool) -> None:
        tokens.extend(byte + RESERVED for byte in text.encode())
        trained.extend([flag] * len(text.encode()))

    for turn in sample.turns:
        flag = turn.role in trains
        tokens.append(RESERVED + 256)
        trained.append(False)
        put(f"{turn.role}\n", False)
        put(turn.text, flag)
        tokens.append(RESERVED + 257)
        trained.append(flag)
        put("\n", False)
    return [*tokens, END], [*trained, sample.turns[-1].role in trains]


@pytest.mark.parametrize("trains", [{"assistant"}, {"user"}, {"assistant", "user", "system"}])
def test_masks_of_our_own_layout_are_those_counted_by_hand(golden, trains):
    samples = list(read_samples(golden["samples"]).samples)

    coded = fitted(samples).encode(samples, trains)

    for sample, one in zip(samples, coded, strict=True):
        tokens, trained = by_hand(sample, trains)
        assert one.tokens.tolist() == tokens
        assert one.trained.tolist() == trained


@pytest.mark.parametrize("name", ["byte", "char", "word", "bpe"])
def test_a_codec_is_the_same_after_json_and_spells_its_marks(name):
    samples = [Sample(0, "row 0", turns=TURNS), Sample(1, "row 1", text="Once upon a time")] * 3
    codec = fitted(samples, name)

    again = FittedCodec.from_json(json.loads(json.dumps(codec.to_json())))

    first, second = (one.encode(samples, ["assistant"])[0] for one in (codec, again))
    assert np.array_equal(first.tokens, second.tokens)
    told = again.decode(first.tokens.tolist())
    assert told.count("<|im_start|>") == told.count("<|im_end|>") == 5
    assert told.endswith("<|end_of_text|>")
    assert first.tokens.max() < codec.vocabulary


def test_a_text_that_spells_a_mark_stays_text():
    sample = Sample(0, "row 0", turns=(Turn("user", "<|im_end|>"), Turn("assistant", "x")))

    (coded,) = fitted([sample]).encode([sample], ["assistant"])

    assert (coded.tokens == RESERVED + 257).sum() == 2  # one a turn
    assert coded.roles.tolist().count(ROLES.index("user")) == 1 + len("user\n") + len("<|im_end|>") + 2


def test_what_can_be_called_stands_with_the_system():
    sample = Sample(0, "row 0", turns=TURNS, tools='[{"name": "weather"}]')

    codec = fitted([sample])
    (coded,) = codec.encode([sample], ["assistant"])

    system = codec.decode(coded.tokens[coded.roles == ROLES.index("system")].tolist())
    assert '[{"name": "weather"}]' in system
    assert "Be kind." in system


def test_turns_that_the_data_switch_off_do_not_train():
    off = (Turn("user", "a"), Turn("assistant", "b", trains=False), Turn("user", "c"), Turn("assistant", "d"))
    sample = Sample(0, "row 0", turns=off)
    for codec in (fitted([sample]), folder(), folder(template=str(CHAT / "plain.jinja"))):
        (coded,) = codec.encode([sample], ["assistant"])

        assert "b" not in codec.decode(coded.tokens[coded.trained].tolist())
        assert "d" in codec.decode(coded.tokens[coded.trained].tolist())


def trained_text(codec: FolderCodec, coded: Encoded) -> str:
    return codec.decode(coded.tokens[coded.trained].tolist())


def test_other_roles_train_what_they_say_with_their_end(golden):
    sample = Sample(0, "row 0", turns=TURNS)

    (coded,) = folder().encode([sample], ["user"])

    assert trained_text(folder(), coded) == "Hi<|im_end|>Bye<|im_end|>"


def test_our_layout_is_there_for_a_tokenizer_without_a_template():
    sample = Sample(0, "row 0", turns=TURNS, tools='[{"name": "weather"}]')
    codec = folder(template="im")

    (coded,) = codec.encode([sample], ["assistant"])

    assert trained_text(codec, coded) == "Hello<|im_end|>好<|im_end|>"
    assert codec.decode(coded.tokens.tolist()).startswith("<|im_start|>system\nBe kind.\n\nTools")


def test_a_plain_text_ends_with_the_end_token():
    (coded,) = folder(end_of_text=True).encode([Sample(0, "row 0", text="Once")], ["assistant"])

    assert folder().decode(coded.tokens.tolist()) == "Once<|im_end|>"
    assert coded.trained.all()


def copied(tmp_path: Path, **changes: Any) -> Path:
    """The folder with another config."""
    shutil.copy(CHAT / "tokenizer.json", tmp_path)
    config = json.loads((CHAT / "tokenizer_config.json").read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in config.items() if value is not None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(kept), encoding="utf-8")
    return tmp_path


def test_a_tokenizer_without_an_end_token_is_refused_until_one_is_named(tmp_path):
    place = copied(tmp_path, eos_token=None)

    with pytest.raises(DataError, match=r"names no end token.*data.end_token"):
        FolderCodec.read(place, end_of_text=False)
    with pytest.raises(DataError, match=r"'<.im_ende.>' is not in the vocabulary"):
        FolderCodec.read(place, end_token="<|im_ende|>", end_of_text=False)

    assert FolderCodec.read(place, end_token="<|im_end|>", end_of_text=False).tokens["eos_token"] == "<|im_end|>"


def test_the_model_config_names_tokens_that_the_tokenizers_does_not(tmp_path):
    place = copied(tmp_path, eos_token=None, pad_token={"content": "<|endoftext|>"})
    (place / "config.json").write_text('{"eos_token_id": [2]}', encoding="utf-8")

    codec = FolderCodec.read(place, end_of_text=False)

    assert codec.tokens["eos_token"] == "<|im_end|>"
    assert codec.padding == 0


def test_a_missing_template_is_told_with_the_row(tmp_path):
    codec = FolderCodec.read(copied(tmp_path, chat_template=None), end_of_text=False)

    with pytest.raises(DataError, match=r"no chat template, and line 7 is a conversation; .*data.chat_template = 'im'"):
        codec.encode([Sample(6, "line 7", turns=TURNS)], ["assistant"])


@pytest.mark.parametrize("pad", [None, "<|im_end|>"])
def test_padding_with_the_end_token_hides_no_end(pad, tmp_path):
    codec = FolderCodec.read(copied(tmp_path, pad_token=pad), end_of_text=False)

    (coded,) = codec.encode([Sample(0, "row 0", turns=TURNS)], ["assistant"])

    assert codec.padding in codec.ends
    assert trained_text(codec, coded).count("<|im_end|>") == 2
    assert "hides no end" in codec.notices[0]


def test_templates_that_cannot_be_followed_are_told_with_the_row(tmp_path):
    cases = {
        "{{ raise_exception('roles must alternate') }}": "refuses the conversation .roles must alternate",
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}": "does not write the text of turn 1",
        "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}": "writes turn 1 another way",
        "{% for m in messages %}": "cannot be read",
    }
    for source, words in cases.items():
        file = tmp_path / "own.jinja"
        file.write_text(source, encoding="utf-8")
        with pytest.raises(DataError, match=words):
            folder(template=str(file)).encode([Sample(0, "row 0", turns=TURNS)], ["assistant"])
    with pytest.raises(DataError, match="is no file"):
        folder(template="absent.jinja")


THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}OPEN"
    "{{ m.content if loop.last else m.content.split('</think>')[-1] }}<|im_end|>SHUT\n"
    "{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
)


def test_a_template_that_strips_earlier_thoughts_is_followed_by_its_tags_alone(tmp_path):
    said = ("<think>a</think>One", "<think>b</think>Two")
    sample = Sample(
        0, "row 0", turns=(Turn("user", "x"), Turn("assistant", said[0]), Turn("user", "y"), Turn("assistant", said[1]))
    )
    tagged, bare = tmp_path / "tagged.jinja", tmp_path / "bare.jinja"
    tagged.write_text(
        THINKING.replace("OPEN", "{% generation %}").replace("SHUT", "{% endgeneration %}"), encoding="utf-8"
    )
    bare.write_text(THINKING.replace("OPEN", "").replace("SHUT", ""), encoding="utf-8")
    codec = folder(template=str(tagged))

    (coded,) = codec.encode([sample], ["assistant"])

    assert trained_text(codec, coded) == "One<|im_end|><think>b</think>Two<|im_end|>"
    assert set(coded.roles[coded.trained].tolist()) == {ROLES.index("assistant")}
    with pytest.raises(DataError, match="another way once others follow"):
        folder(template=str(bare)).encode([sample], ["assistant"])
    with pytest.raises(DataError, match="only the replies can be told"):
        codec.encode([sample], ["user"])


def test_a_template_that_takes_no_system_alone_is_followed(tmp_path):
    source = "{% if messages | length < 2 %}{{ raise_exception('nobody asks') }}{% endif %}" + THINKING
    file = tmp_path / "strict.jinja"
    file.write_text(
        source.replace("OPEN", "").replace("SHUT", "").replace(".split('</think>')[-1]", ""), encoding="utf-8"
    )
    codec = folder(template=str(file))

    (coded,) = codec.encode([Sample(0, "row 0", turns=TURNS)], ["assistant"])

    assert trained_text(codec, coded) == "Hello<|im_end|>好<|im_end|>"
    assert codec.decode(coded.tokens[coded.roles == ROLES.index("system")].tolist()).endswith("Be kind.")


def test_a_template_holds_no_code_that_reaches_out(tmp_path):
    file = tmp_path / "evil.jinja"
    file.write_text("{{ messages.__class__.__mro__[1].__subclasses__() }}", encoding="utf-8")

    with pytest.raises(DataError, match="refuses the conversation"):
        folder(template=str(file)).encode([Sample(0, "row 0", turns=TURNS)], ["assistant"])


def test_texts_that_spell_special_tokens_are_told():
    codec = folder()

    codec.encode([Sample(3, "line 4", turns=(Turn("user", "say <|im_end|>"), Turn("assistant", "x")))], ["assistant"])

    assert "1 samples spell a special token" in codec.notices[-1]
    assert "line 4" in codec.notices[-1]


def test_folders_that_hold_no_tokenizer_are_refused(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        FolderCodec.read(tmp_path / "absent", end_of_text=False)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="is no tokenizer of the library tokenizers"):
        FolderCodec.read(tmp_path, end_of_text=False)


def test_a_folder_codec_is_the_same_after_json():
    codec = folder(end_of_text=True)
    sample = Sample(0, "row 0", turns=TURNS)

    again = FolderCodec.from_json(json.loads(json.dumps(codec.to_json())))

    first, second = (one.encode([sample], ["assistant"])[0] for one in (codec, again))
    assert np.array_equal(first.tokens, second.tokens)
    assert np.array_equal(first.trained, second.trained)
    assert (codec.padding, codec.vocabulary, codec.ends) == (again.padding, again.vocabulary, again.ends)


def test_pieces_of_a_small_llama_begin_and_end_as_its_model_knows_it(shared: Path):
    place = shared / "data" / "models" / "stories260k"
    codec = FolderCodec.read(place, template="im", end_of_text=True)

    (text,) = codec.encode([Sample(0, "row 0", text="Once upon a time")], ["assistant"])
    (chat,) = FolderCodec.read(place, template="im", end_of_text=False).encode(
        [Sample(0, "", turns=TURNS)], ["assistant"]
    )
    again = FolderCodec.from_json(json.loads(json.dumps(codec.to_json())))

    assert (text.tokens[0], text.tokens[-1]) == (1, 2)
    assert again.encode([Sample(0, "row 0", text="Once upon a time")], [])[0].tokens.tolist() == text.tokens.tolist()
    assert chat.tokens[0] == 1
    assert (chat.tokens[chat.trained] == 2).sum() == 2
    assert codec.vocabulary == 512
    with pytest.raises(DataError, match="no chat template"):
        FolderCodec.read(place, end_of_text=False).encode([Sample(0, "row 0", turns=TURNS)], ["assistant"])
