"""Data that a model made: told by lineage, by repeats, by thinner tails; silent on samples of one law."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

import tunesmith as ts
from tunesmith.cli import run
from tunesmith.doctor.audits.lineage import read
from tunesmith.doctor.audits.repeating import repeats
from tunesmith.doctor.audits.shrinking import Reach, of_numbers, of_texts, of_words, significant
from tunesmith.generative.recursive import MODELS, simulate
from tunesmith.records import DataError, Findings

TOWNS = [f"town{place}" for place in range(40)]
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "nrlstk"]


def table(rows: int, seed: int, *, spread: float = 1.0, temper: float = 1.0) -> pl.DataFrame:
    """Numbers, a category of Zipf's law and texts; a `spread` below 1 and a `temper` above 1 make all of them narrower."""
    draw = np.random.default_rng(seed)
    zipf = (1 / np.arange(1, 41)) ** temper
    common = (1 / np.arange(1, len(WORDS) + 1)) ** temper
    said = [" ".join(draw.choice(WORDS, draw.integers(6, 14), p=common / common.sum())) for _ in range(rows)]
    return pl.DataFrame(
        {
            "height": spread * draw.normal(size=rows),
            "weight": np.exp(spread * draw.normal(size=rows)),
            "town": draw.choice(TOWNS, rows, p=zipf / zipf.sum()),
            "note": said,
            "label": draw.integers(0, 2, rows),
        }
    )


def audited(data: Any, **asked: Any) -> Findings:
    found = ts.audit(data, only=["generated"], **{"target": "label", **asked})
    assert found.failed == {}
    return found


def test_without_lineage_and_older_nothing_is_asked() -> None:
    found = audited(table(200, 0))

    assert list(found) == []
    assert "neither a lineage" in found.skipped["generated"]


@pytest.mark.parametrize("seed", range(10))
def test_samples_of_one_law_are_silent(seed: int) -> None:
    found = audited(table(400, seed), older=table(300, 1000 + seed))

    assert list(found) == []
    assert len(found.measured["thin tails"]) == 5  # two classes have no rare one


def test_a_narrower_sample_is_told_from_an_older_one() -> None:
    found = audited(table(800, 0, spread=0.6, temper=1.5), older=table(800, 1))

    (tails,) = [one for one in found if one.message == "audits.generated.tails_older"]

    assert (tails.fault, tails.severity, tails.status) == ("data.generated", "warning", "suspected")
    assert {"height", "weight", "town", "note: rare words"} <= set(tails.subject["columns"])
    assert "label" not in tails.subject["columns"]
    assert "now : before" in tails.because
    assert [remedy.title for remedy in tails.remedies] == ["audits.generated.accumulate"]


def test_a_wider_sample_is_no_fault() -> None:
    assert list(audited(table(800, 0, spread=1.6), older=table(800, 1))) == []


@pytest.mark.parametrize("shift", [0.3, 3.0])
def test_a_shift_alone_is_no_thinner_tail(shift: float) -> None:
    moved = table(800, 0).with_columns(pl.col("height") + shift)

    assert "height" not in [name for one in audited(moved, older=table(800, 1)) for name in one.subject["columns"]]


def test_generated_rows_are_counted_and_held_against_the_real_ones() -> None:
    real, made = table(300, 0), table(600, 1, spread=0.5, temper=1.5)
    data = pl.concat(
        [real.with_columns(pl.lit("human").alias("source")), made.with_columns(pl.lit("model").alias("source"))]
    )

    found = {one.message: one for one in audited(data, lineage="source")}

    share, tails = found["audits.generated.share"], found["audits.generated.tails_real"]
    assert (share.severity, share.status, share.values["count"], share.values["real"]) == (
        "warning",
        "confirmed",
        600,
        300,
    )
    assert share.subject["rows"] == list(range(300, 900))
    assert tails.status == "confirmed"
    assert "source" not in tails.subject["columns"]


def test_few_generated_rows_are_a_note_and_none_are_silent() -> None:
    data = table(400, 0)
    few = data.with_columns(pl.Series("made", [n % 10 == 0 for n in range(400)]))

    (note,) = audited(few, lineage="made")
    none = audited(data.with_columns(pl.lit(0).alias("made")), lineage="made")

    assert (note.severity, note.values["share"]) == ("note", 0.1)
    assert list(none) == []
    assert none.measured["generated"] == {"share": 0.0, "generated": 0, "real": 400, "untold": 0}


def test_generations_and_gaps() -> None:
    counted = [0, 1, 2, 3] * 99 + [None] * 4
    data = table(400, 0).with_columns(pl.Series("generation", counted))

    (found,) = audited(data, lineage="generation")

    assert found.message == "audits.generated.generations"
    assert (found.values["last"], found.values["untold"], found.severity) == (3, 4, "warning")


def test_texts_that_repeat_each_other() -> None:
    data = table(400, 0)
    draw = np.random.default_rng(0)
    stock = table(40, 5)["note"].to_list()
    notes = [
        stock[draw.integers(40)] + draw.choice(["", ".", "!"]) if n >= 200 else note
        for n, note in enumerate(data["note"].to_list())
    ]
    data = data.with_columns(pl.Series("note", notes), pl.Series("origin", ["real"] * 200 + ["generated"] * 200))

    copies = [one for one in audited(data, lineage="origin") if one.message == "audits.generated.copies_real"]

    assert len(copies) == 1
    assert copies[0].severity == "warning"
    assert copies[0].values["share"] > 0.9
    assert copies[0].values["other"] < 0.1


@pytest.mark.parametrize(
    ("lineage", "share"),
    [
        ("source=gpt", 0.5),
        ("As a language model", 0.25),
        ([0, 1] * 200, 0.5),
        (np.arange(400) % 4 == 0, 0.25),
        (["real", "synthetic", None, "real"] * 100, 1 / 3),
    ],
)
def test_ways_to_tell(lineage: Any, share: float) -> None:
    data = table(400, 0).with_columns(pl.Series("source", ["gpt", "press", "gpt", "mail"] * 100))
    notes = [note + ", as a language MODEL" * (n % 4 == 0) for n, note in enumerate(data["note"].to_list())]

    found = audited(data.with_columns(pl.Series("note", notes)), lineage=lineage)

    assert found.measured["generated"]["share"] == pytest.approx(share)


def test_arrays_are_compared_column_by_column() -> None:
    draw = np.random.default_rng(0)
    X, older = draw.normal(size=(500, 4)), draw.normal(size=(500, 4))
    X[:, 2] *= 0.5
    y = draw.integers(0, 2, 500)

    told = [
        name
        for one in audited((X, y), target=None, older=(older, y), lineage=np.ones(500, int))
        for name in one.subject.get("columns", ())
    ]

    assert len(told) == 1
    assert "2" in told[0]


@pytest.mark.parametrize(
    ("lineage", "said"),
    [
        ("sorce", "no column of the DataFrame; did you mean 'source'"),
        ("source", "holds gpt, mail, press; expected real or generated"),
        ("source=bard", "source holds gpt, mail, press"),
        ("label", "is the target"),
        ([0, 1], "lineage has 2 values and the data have 400 rows"),
        (7, "came as int"),
        ("empty", "is empty in every row"),
        ("year", "none beyond 1000"),
        (" ", "no text holds it"),
    ],
)
def test_a_lineage_that_nothing_answers_to(lineage: Any, said: str) -> None:
    source = pl.Series("source", ["gpt", "press", "gpt", "mail"] * 100)
    data = table(400, 0).with_columns(source, pl.lit(None, pl.Utf8).alias("empty"), pl.lit(2020).alias("year"))

    with pytest.raises(DataError, match=said):
        audited(data, lineage=lineage)


def test_older_rows_of_other_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"older sample (has none|cannot)"):
        audited(table(100, 0), older=pl.DataFrame({"other": [1, 2, 3], "label": [0, 1, 0]}))
    with pytest.raises(DataError, match="older sample cannot be held against"):
        audited(table(100, 0), older=str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match="has no columns"):
        audited((np.ones((60, 2)), np.arange(60) % 2), target=None, lineage="source")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(300, 0, spread=0.5).with_columns(pl.lit("gpt").alias("by")).write_csv(tmp_path / "now.csv")
    table(300, 1).write_csv(tmp_path / "before.csv")
    words = ["audit", str(tmp_path / "now.csv"), "--target", "label", "--only", "generated"]

    code = run([*words, "--lineage", "by=gpt", "--older", str(tmp_path / "before.csv"), "--json"])
    told = json.loads(capsys.readouterr().out)
    wrong = run([*words, "--lineage", "bye"])
    said = capsys.readouterr().err
    chinese = run([*words, "--lineage", "by=gpt", "--lang", "zh"])

    assert (code, wrong, chinese) == (0, 2, 0)
    assert {one["fault"] for one in told["findings"]} == {"data.generated"}
    assert len(told["findings"]) == 2
    assert "did you mean 'by'" in said
    assert "模型生成" in capsys.readouterr().out


@pytest.mark.parametrize(("regime", "faults"), [("replace", ["data.generated"]), ("accumulate", [])])
def test_what_a_model_makes_of_itself_is_told(regime: str, faults: list[str]) -> None:
    """The true fault: what the last of 100 generations is given, against the real rows of the first."""
    seen: list[np.ndarray] = []
    base = MODELS["gaussian"]()

    def fit(data: np.ndarray, seed: int) -> Any:
        seen.append(data[0])
        return base.fit(data, seed)

    def measure(model: Any, seed: int) -> dict[str, float]:
        return {"variance": float(model.variance[0])}

    simulate(
        replace(base, many=None, fit=fit, measure=measure), regime=regime, generations=100, n=200, replicates=1, seed=2
    )
    now, before = seen[-1][:, None], seen[0][:, None]

    found = audited((now, np.arange(len(now)) % 2), target=None, older=(before, np.arange(200) % 2))

    assert [one.fault for one in found] == faults


CASES: dict[str, Callable[[np.random.Generator], Reach | None]] = {
    "numbers": lambda draw: of_numbers("x", draw.normal(size=120), draw.normal(size=80), draw),
    "tied": lambda draw: of_numbers("x", draw.poisson(1.0, 120) * 1.0, draw.poisson(1.0, 80) * 1.0, draw),
    "heavy": lambda draw: of_numbers("x", draw.standard_cauchy(60), draw.standard_cauchy(200), draw),
    "words": lambda draw: of_words("x", *(_drawn(draw, rows) for rows in (150, 90)), draw),
    "texts": lambda draw: of_texts("x", _said(draw, 90), _said(draw, 120), draw),
}


def _said(draw: np.random.Generator, rows: int) -> list[str]:
    return [" ".join(words) for words in draw.choice(WORDS, (rows, 4)).tolist()]


def _drawn(draw: np.random.Generator, rows: int) -> list[str]:
    share = 1 / np.arange(1, 41)
    return draw.choice(TOWNS, rows, p=share / share.sum()).tolist()


@pytest.mark.parametrize("name", CASES)
def test_the_tests_hold_their_level(name: str) -> None:
    draw = np.random.default_rng(3)
    chances = [found.chance for _ in range(600) if (found := CASES[name](draw)) is not None]

    assert len(chances) > 500
    for level in (0.05, 0.2):
        false = sum(chance <= level for chance in chances)
        assert stats.binom.sf(false - 1, len(chances), level) > 1e-3, (level, false)


def test_several_comparisons_are_corrected() -> None:
    draw = np.random.default_rng(5)
    rounds = [[Reach(str(n), 0.1, 0.1, float(chance)) for n, chance in enumerate(draw.random(20))] for _ in range(500)]

    assert sum(bool(significant(one, 0.05)) for one in rounds) / 500 < 0.08  # uncorrected 0.64
    kept = significant([Reach("a", 0.1, 0.2, 1e-6), Reach("b", 0.0, 0.2, 1e-5), Reach("c", 0.1, 0.1, 0.5)], 0.01)
    assert [one.name for one in kept] == ["b", "a"]


def test_repeats_hold_their_level_where_texts_come_in_clumps() -> None:
    draw = np.random.default_rng(0)
    stock = [" ".join(draw.choice(WORDS, 8)) for _ in range(60)]
    share = 1 / np.arange(1, 61)
    chances = []
    for _ in range(60):
        one, other = ([stock[n] for n in draw.choice(60, 50, p=share / share.sum())] for _ in range(2))
        chances.append(repeats(one, other, draw).chance)

    assert stats.binom.sf(sum(chance <= 0.1 for chance in chances) - 1, 60, 0.1) > 1e-3
    assert 0.2 < np.median(chances) < 0.8


def test_words_without_spaces_are_told_apart() -> None:
    draw = np.random.default_rng(0)
    letters = np.array([chr(0x4E00 + place) for place in range(400)])
    share = 1 / np.arange(1, 401)
    older, newer = (
        ["".join(draw.choice(letters, 20, p=share**temper / (share**temper).sum())) for _ in range(300)]
        for temper in (1.0, 2.0)
    )

    found = of_texts("note", newer, older, draw)

    assert found is not None
    assert found.ratio < 0.5
    assert found.chance < 1e-6


def test_few_rows_and_level_columns_are_not_compared() -> None:
    draw = np.random.default_rng(0)

    assert of_numbers("x", draw.normal(size=49), draw.normal(size=200), draw) is None
    assert of_words("x", ["a", "b"] * 50, ["a", "b"] * 50, draw) is None
    assert read(["Yes", "no", "YES"], "made").origin.tolist() == [1, 0, 1]
