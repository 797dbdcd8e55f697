import numpy as np
import polars as pl
import pytest

from tests.audits.columns_cases import as_is, found, graver, of, rng
from tunesmith.doctor.audits.text_empty import text_empty
from tunesmith.doctor.audits.text_language import text_language
from tunesmith.doctor.audits.text_lengths import text_lengths
from tunesmith.doctor.audits.text_remains import misread, text_remains

LOOKS = (text_empty, text_language, text_lengths, text_remains)
WORDS = sorted(
    {"the", "a", "of", "to", "and", "in", "is", "it", "you", "that", "he", "was", "for", "on", "are", "with"}
)
ALL = {"data.val": 0.0, "data.test": 0.0}


def texts(rows=300, seed=0, longest=20):
    draw = rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(8, longest))) for _ in range(rows)]


def frame(cells):
    return pl.DataFrame({"text": cells, "label": [str(place % 2) for place in range(len(cells))]})


def test_sound_texts():
    for look in LOOKS:
        assert not found(look, of(frame(texts()), "label", test=frame(texts(seed=1)))), look.__name__


@pytest.mark.parametrize(("count", "severity"), [(3, "note"), (60, "warning")])
@pytest.mark.parametrize("empty", ["...", "- - -", "!?", " . "])
def test_texts_that_say_nothing(count, severity, empty):
    cells = texts()
    places = sorted(rng(1).choice(300, count, replace=False).tolist())
    for place in places:
        cells[place] = empty

    (told,) = found(text_empty, of(frame(cells), "label"))

    assert (told.severity, told.subject["rows"]) == (severity, places)


def test_signs_that_say_something():
    cells = texts()
    cells[:4] = ["😀😀", "€", "…5", "♥"]

    assert not found(text_empty, of(frame(cells), "label"))


def test_rows_of_padding_alone():
    tokens = rng().integers(1, 500, (200, 30))
    tokens[[4, 9]] = 0

    (told,) = found(text_empty, as_is(tokens, np.arange(200) % 2))

    assert (told.message, told.subject["rows"]) == ("audits.single_token", [4, 9])


@pytest.mark.parametrize(
    ("remains", "message"),
    [
        ("caf\u00c3\u00a9", "audits.mojibake"),
        ("\u00e2\u20ac\u2122s", "audits.mojibake"),
        ("\u00d0\u0178\u00d1\u20ac\u00d0\u00b8", "audits.mojibake"),
        ("\u00e4\u00bd\u00a0\u00e5\u00a5\u00bd", "audits.mojibake"),
        ("bro\ufffdken", "audits.replacement"),
        ("a&amp;b &#39;", "audits.markup"),
        ("<br/>line", "audits.markup"),
        ("bell\x07", "audits.control"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_remains(remains, message, part):
    parts = {"train": texts(), "test": texts(200, 1)}
    places = list(range(0, 60, 3))
    for place in places:
        parts[part][place] += " " + remains

    (told,) = found(text_remains, of(frame(parts["train"]), "label", test=frame(parts["test"])))

    assert (told.message, told.values["part"], told.subject["rows"]) == (message, part, places)
    assert told.severity == ("warning" if message in ("audits.mojibake", "audits.replacement") else "note")


@pytest.mark.parametrize(
    "word",
    [
        "é",
        "São Paulo",
        "ÇÃO",
        "Ærø",
        "naïve",
        "Übergrößenträger",
        "ÀÉÈ",
        "«déjà»",
        "x < y && y > z",
        "AT&T; R&D",
        "你好",
        "été à",
    ],
)
def test_sound_letters(word):
    assert not misread(word)
    assert not found(text_remains, of(frame([f"{cell} {word}" for cell in texts()]), "label"))


@pytest.mark.parametrize(
    "words",
    ["Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία", "любя, съешь щипцы, вздохнёт мэр", "子曰学而时习之不亦说乎有朋自远方来"],
)
def test_everything_misread(words):
    broken = "".join(byte.to_bytes(1, "big").decode("cp1252", "replace") for byte in words.encode())

    assert misread(words.encode().decode("latin-1"))
    assert misread(broken) or "\ufffd" in broken


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("這是一個很長的中文句子用來測試", "Han"),
        ("これは日本語の文章ですよ漢字も", "Hiragana"),
        ("Это предложение на русском языке", "Cyrillic"),
        ("هذه جملة باللغة العربية للاختبار", "Arabic"),
        ("이것은 한국어 문장입니다 시험용", "Hangul"),
        ("Αυτή είναι μια ελληνική πρόταση", "Greek"),
    ],
)
def test_rows_of_another_script(text, script):
    cells = texts()
    cells[10] = cells[200] = text

    (told,) = found(text_language, of(frame(cells), "label", ALL))
    (part,) = graver(found(text_language, of(frame(texts()), "label", test=frame([f"{text} {n}" for n in range(50)]))))

    assert (told.severity, told.values["others"], told.subject["rows"]) == ("note", script, [10, 200])
    assert (part.fault, part.values["second"], part.values["part"]) == ("data.train_val_mismatch", script, "test")


@pytest.mark.parametrize(("share", "words", "severity"), [(0.02, 80, "note"), (0.3, 200, "warning")])
def test_texts_that_are_cut(share, words, severity):
    cells = texts(400)
    places = sorted(rng(2).choice(np.arange(1, 400, 2), int(400 * share), replace=False).tolist())
    for place in places:
        cells[place] = " ".join(["word"] * words)

    (told,) = found(text_lengths, of(frame(cells), "label", {**ALL, "data.max_seq_len": 64}))

    assert (told.severity, sorted(told.subject["rows"])) == (severity, places)
    assert told.values["cut"] == len(places)
    apart = next(one for one in told.evidence if one.name.startswith("p that"))
    assert apart.value < 0.01  # only class 1 has them


@pytest.mark.parametrize(
    "cells", [["", None] * 30, ["a b c d"] * 60, ["\x00 \ufffd &amp; Ã©"] * 60, [None] * 59 + ["中文" * 50]]
)
def test_odd_texts(cells):
    for look in LOOKS:
        found(look, of(frame(cells), "label", columns={"text": "text"}))


def test_no_text_at_all():
    for look in LOOKS:
        assert not found(look, as_is(rng().normal(size=(60, 3)), np.arange(60) % 2))


def test_the_demo_texts(root):
    material = of(str(root / "src/tunesmith/demo_data/sms_1000.csv.gz"), "label")

    for look in LOOKS:
        assert not graver(found(look, material)), look.__name__


@pytest.mark.parametrize(
    ("name", "more"),
    [("sms_spam", {}), ("waimai_10k", {}), ("thucnews_titles_train", {"drop": ("label_name",)}), ("ag_news_test", {})],
)
@pytest.mark.slow
def test_real_texts(shared, name, more):
    material = of(str(shared / f"data/text/{name}.csv.gz"), "label", **more)

    for look in LOOKS:
        assert not graver(found(look, material)), look.__name__
