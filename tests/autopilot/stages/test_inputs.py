"""Groups of inputs, one after the other: what is found where it is known what each group brings."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tunesmith as ts
import tunesmith.autopilot.stages.inputs as stage
import tunesmith.verbs.tune as verb
from tunesmith.autopilot.stages.inputs import column_of, groups_of, restricted
from tunesmith.data.spec import Categories, Column, Numbers, Part, Tokens
from tunesmith.records import Findings
from tunesmith.reports.tuned_page import tuned_page
from tunesmith.runs.tuning import read_tuning

RECIPE = {"train.epochs": 2, "train.threads": 1, "model.width": 16}
BUDGET = "4 epochs"


def table(file, rows=500, *, dates=True, words=False, leak=False):
    """A label by numbers (most), a category (some) and perhaps words; dates that say nothing."""
    drawn = np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        one, two = drawn.normal(size=2)
        colour = drawn.choice(["red", "blue", "green"])
        told = drawn.choice(["good", "bad", "so", "today"], 6)
        height = 2 * one + (1.5 if colour == "red" else 0) + 0.5 * drawn.normal()
        height += (told == "good").sum() - (told == "bad").sum() if words else 0
        cells = [f"{one:.3f}", f"{two:.3f}", colour]
        cells += (
            [f"20{drawn.integers(10, 22)}-{drawn.integers(1, 13):02d}-{drawn.integers(1, 28):02d}"] if dates else []
        )
        cells += [" ".join(told)] if words else []
        label = "yes" if height > 0.4 else "no"
        cells += [f"{label == 'yes':d}.{drawn.integers(0, 10)}"] if leak else []
        lines.append(",".join([*cells, label]))
    head = ["one", "two", "colour", *(["when"] if dates else []), *(["note"] if words else [])]
    file.write_text("\n".join([",".join([*head, *(["answer"] if leak else []), "label"]), *lines]))
    return file


def kind_of(column, file):
    columns = json.loads(file.read_text())
    return next(one["kind"] for one in columns if one["name"] == column)


@pytest.fixture
def quick(monkeypatch):
    _quick(monkeypatch)


def _quick(patch):
    """Without the looks before a training, which other tests carry out."""
    whole = verb.hands()
    nothing = {"audit": lambda *given, **about: Findings(), "preflight": lambda *given, **about: Findings()}
    patch.setattr(verb, "hands", lambda: replace(whole, **nothing))


def inputs_of(tuned):
    return [one for one in tuned.decisions if one.stage == "inputs"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    place = tmp_path_factory.mktemp("inputs")
    with pytest.MonkeyPatch.context() as patch:
        _quick(patch)
        return ts.tune(table(place / "rows.csv"), RECIPE, target="label", budget=BUDGET, folder=place / "tuned")


def test_the_most_useful_group_comes_first_and_each_has_its_gain(tuned):
    first = inputs_of(tuned)[0]

    assert list(first.evidence)[2:5] == ["numbers", "categories", "dates"]
    assert first.evidence["model"] == "gradient boosting"
    gains = {name: first.evidence[name] for name in ("numbers", "categories", "dates")}
    assert gains["numbers"]["gain"] > gains["categories"]["gain"] > gains["dates"]["gain"]
    assert all(one["low"] <= one["gain"] <= one["high"] for one in gains.values())
    assert gains["numbers"]["low"] > 0
    assert gains["dates"]["score"] == pytest.approx(first.evidence["all without dates"] + gains["dates"]["gain"])


def test_a_group_that_is_not_missed_is_named_and_stays(tuned):
    named = [one.title for one in inputs_of(tuned)[1:]]

    assert "dates are not missed" in named
    assert not any("numbers" in one for one in named)
    pipeline = json.loads((tuned.folder / "data.json").read_text())["pipeline"]
    assert "when" in json.dumps(pipeline)


def test_the_page_shows_what_each_brings(tuned):
    page = tuned_page(read_tuning(tuned.folder))

    assert "what each group of inputs brings" in page
    assert "all without dates" in page


def test_text_is_read_by_the_linear_model(tmp_path, quick):
    file = table(tmp_path / "rows.csv", words=True)

    tuned = ts.tune(file, RECIPE, target="label", budget=BUDGET, folder=tmp_path / "a")

    first = inputs_of(tuned)[0]
    assert first.evidence["model"] == "linear model"
    assert first.evidence["text"]["low"] > 0
    assert first.evidence["fits"] >= 10


def test_columns_that_the_look_named_are_a_group_of_their_own(tmp_path):
    file = table(tmp_path / "rows.csv", leak=True)

    tuned = ts.tune(file, RECIPE, target="label", budget=BUDGET, folder=tmp_path / "a")

    found = inputs_of(tuned)[0].evidence["columns that the look named"]
    assert found["gain"] > 0.4
    assert found["score"] > 0.99


def test_numbers_to_predict(tmp_path, quick):
    file = table(tmp_path / "rows.csv")
    text = file.read_text().replace("one,two", "one,y", 1)
    file.write_text(text)

    tuned = ts.tune(file, RECIPE, target="y", budget=BUDGET, folder=tmp_path / "a")

    assert inputs_of(tuned)[0].evidence["model"] == "gradient boosting"
    assert "r2" in inputs_of(tuned)[0].because


def test_one_group_is_not_measured_and_it_is_said(tmp_path, quick):
    rows = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)

    tuned = ts.tune((rows, (rows[:, 0] > 0).astype(np.int64)), RECIPE, budget=BUDGET, folder=tmp_path / "a")

    (only,) = inputs_of(tuned)
    assert not only.taken
    assert "one group" in only.because


def test_a_group_that_does_harm_is_left_out_where_a_net_confirms_it(tmp_path, quick, monkeypatch):
    whole = stage._without

    def harmful(flight, *given):
        for one in whole(flight, *given):
            yield {**one, "loss": -0.1, "needed": 0.01} if one["group"] == "dates" else one

    monkeypatch.setattr(stage, "_without", harmful)
    monkeypatch.setattr("tunesmith.autopilot.judging.Gain.sure", property(lambda gain: True))
    file = table(tmp_path / "rows.csv")
    about = {"target": "label", "budget": "24 epochs", "folder": tmp_path / "a"}

    tuned = ts.tune(file, RECIPE, **about)

    taken = next(one for one in inputs_of(tuned) if one.title.startswith("without dates"))
    assert taken.taken
    assert taken.instead["way"] == "plain net"
    runs = {
        step: tuned.folder / "steps" / step / "run" / "data" / "columns.json" for step in ("plain-net", "search-net")
    }
    assert [kind_of("when", runs[step]) for step in runs] == ["date", "dropped"]
    assert len(tuned.predict(file).labels) == 500

    (tuned.folder / "scores.json").unlink()
    again = ts.tune(file, RECIPE, resume=True, **about)
    assert again.judged == tuned.judged


def test_in_a_short_time_what_was_measured_is_told(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(stage, "SHARE", 1e-9)

    tuned = ts.tune(table(tmp_path / "a.csv"), RECIPE, target="label", budget="10s", folder=tmp_path / "a")

    found = inputs_of(tuned)
    assert "the time of this stage was over" in found[0].because
    assert len(found) == 1


def test_restricted_rows_have_the_features_of_some_columns():
    spec = {"numbers": Numbers(3, ("a [0]", "a [1]", "b")), "categories": Categories((4, 5), ("c", "d"))}
    spec["tokens"] = Tokens(10, 2)
    inputs = {"numbers": np.arange(6.0).reshape(2, 3), "categories": np.ones((2, 2)), "tokens": np.zeros((2, 2))}
    part = Part(inputs, np.zeros(2), None, np.arange(2))

    some, told = restricted(part, spec, ["a", "b", "c", "d"], ["a", "d"])
    words, _ = restricted(part, spec, ["a", "b", "c", "d"], [], ["tokens"])

    assert some.inputs["numbers"].tolist() == [[0.0, 1.0], [3.0, 4.0]]
    assert (told["numbers"].names, told["categories"].sizes) == (("a [0]", "a [1]"), (5,))
    assert list(words.inputs) == ["tokens"]


def test_groups_go_by_the_kind_of_column_and_text_stays_text():
    columns = [Column("a", "number"), Column("b", "boolean"), Column("c", "text"), Column("d", "picture")]

    assert groups_of(columns, ["b", "c"]) == {
        "numbers": ["a"],
        "text": ["c"],
        "pictures": ["d"],
        "columns that the look named": ["b"],
    }
    assert column_of("a (missing)", ["a", "b"]) == "a"
