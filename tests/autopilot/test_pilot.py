"""Whole tunings, small: from data to what is handed over, and what a stop in the middle changes."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import datasets

import tunesmith as ts
from tests.training.test_slicing import table
from tunesmith.autopilot.pilot import STAGES
from tunesmith.records import DataError, RunError
from tunesmith.reports.tune_live import PlainTune
from tunesmith.verbs.tune import hands, plan

BUDGET = "30 epochs"
RECIPE = {"train.epochs": 3, "train.threads": 1, "model.width": 16}


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    data = datasets.load_wine()
    file = tmp_path_factory.mktemp("wine") / "wine.csv"
    rows = [
        ",".join([*map(str, row), f"kind {label}"]) for row, label in zip(data.data.tolist(), data.target, strict=True)
    ]
    file.write_text("\n".join([",".join([*(f"c{place}" for place in range(13)), "kind"]), *rows]))
    return file


@pytest.fixture(scope="module")
def tuned(wine, tmp_path_factory):
    return ts.tune(wine, RECIPE, target="kind", budget=BUDGET, folder=tmp_path_factory.mktemp("a") / "tuned", seed=1)


def test_every_stage_decides_and_the_judgement_stands_beside_its_rivals(tuned):
    stages = [one.stage for one in tuned.decisions]
    row = tuned.judged["rows"]["handed over"]

    assert set(STAGES) - {"pretrained"} <= set(stages)  # no start was given
    assert tuned.judged["part"] == "test"
    assert {"constant answer", "linear model", "gradient boosting", "plain net", "best net"} <= set(
        tuned.judged["rows"]
    )
    low, high = row["intervals"]["accuracy"]
    assert low <= tuned.scores["accuracy"] <= high
    assert tuned.scores["accuracy"] > tuned.judged["rows"]["constant answer"]["scores"]["accuracy"]
    assert all(one.because for one in tuned.decisions)


def test_what_was_left_has_its_measured_figure(tuned):
    chosen = [one for one in tuned.decisions if one.stage == "search" and "gain" in one.evidence]

    assert chosen
    assert all(one.instead["way"] and np.isfinite(one.instead["accuracy"]) for one in chosen)


def test_the_worth_of_more_data_is_a_curve(tuned):
    found = next(one for one in tuned.decisions if one.stage == "worth")

    assert [name for name in found.evidence if name.endswith("rows")] == ["31 rows", "62 rows", "124 rows"]
    assert "the last doubling brought" in found.because


def test_no_more_epochs_are_trained_than_were_given(tuned):
    steps = [json.loads(line) for line in (tuned.folder / "steps.jsonl").read_text().splitlines()]
    done = [one for one in steps if "step" in one]

    assert sum(one["epochs"] for one in done) <= 30
    assert len({one["step"] for one in done}) == len(done)


def test_the_test_rows_are_looked_at_by_the_judgement_alone(tuned):
    assert not list((tuned.folder / "steps").rglob("predictions/test.npz"))
    assert (tuned.folder / "predictions" / "test.npz").is_file()


def test_what_is_handed_over_predicts_raw_data_as_it_was_judged(tuned, wine):
    model = ts.load(tuned.folder)
    said = ts.predict(tuned.folder, wine)
    with np.load(tuned.folder / "predictions" / "test.npz") as held:
        rows, expected = held["rows"], held["probabilities"]

    assert list(said.classes) == ["kind 0", "kind 1", "kind 2"]
    np.testing.assert_allclose(said.probabilities[rows], expected, atol=1e-5)
    assert model.predict(wine).labels == said.labels == tuned.predict(wine).labels


def test_the_same_again_is_the_same(tuned, wine, tmp_path):
    again = ts.tune(wine, RECIPE, target="kind", budget=BUDGET, folder=tmp_path / "again", seed=1)

    assert again.judged == tuned.judged
    assert [one.title for one in again.decisions] == [one.title for one in tuned.decisions]
    assert again.recipe == tuned.recipe


@pytest.mark.parametrize("stop", ["plain", "search", "regularise"])
def test_one_that_was_stopped_in_a_stage_goes_on_and_decides_the_same(stop, tuned, wine, tmp_path, monkeypatch):
    class Stopped(BaseException):
        pass

    def breaks(flight):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setitem(STAGES, stop, (breaks, "breaks"))
        with pytest.raises(Stopped):
            ts.tune(wine, RECIPE, target="kind", budget=BUDGET, folder=tmp_path / "a", seed=1)
    after = ts.tune(wine, RECIPE, target="kind", budget=BUDGET, folder=tmp_path / "a", seed=1, resume=True)

    assert after.judged == tuned.judged
    assert [one.title for one in after.decisions] == [one.title for one in tuned.decisions]


def test_a_folder_that_is_taken_other_data_and_another_budget_are_refused(tuned, wine, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(wine.read_text().replace("kind 1", "kind one"))
    about = {"target": "kind", "folder": tuned.folder, "seed": 1}

    with pytest.raises(RunError, match="not empty"):
        ts.tune(wine, RECIPE, budget=BUDGET, **about)
    with pytest.raises(DataError, match="data differ"):
        ts.tune(other, RECIPE, budget=BUDGET, resume=True, **about)
    with pytest.raises(RunError, match="total = 40"):
        ts.tune(wine, RECIPE, budget="40 epochs", resume=True, **about)
    with pytest.raises(RunError, match="holds no tuning"):
        ts.tune(wine, RECIPE, target="kind", budget=BUDGET, folder=tmp_path, resume=True)


def test_a_net_of_ones_own_and_numbers_to_predict():
    drawn = np.random.default_rng(0)
    inputs = drawn.normal(size=(240, 5)).astype(np.float32)
    target = (inputs @ [1.0, -2.0, 0.5, 0.0, 0.0] + 0.1 * drawn.normal(size=240)).astype(np.float32)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    task = ts.Task(net, (inputs, target), kind="regression")

    tuned = ts.tune(task, {"train.epochs": 2}, budget="12 epochs")

    said = tuned.predict(inputs[:7])
    assert tuned.judged["metric"] in ("r2", "rmse", "mae")
    assert said.values.shape[0] == 7
    assert np.isfinite(tuned.scores[tuned.judged["metric"]])


def test_a_simple_model_that_is_better_is_handed_over_and_said(wine, tmp_path):
    untaught = RECIPE | {"optim.lr": 1e-9}  # a net that learns nothing

    tuned = ts.tune(wine, untaught, target="kind", budget="3 epochs", folder=tmp_path / "a")

    members = json.loads((tuned.folder / "handed.json").read_text())["members"]
    assert {one["kind"] for one in members} <= {"linear", "boosted"}
    assert "no net is as good" in tuned.decisions[-1].title
    assert tuned.scores["accuracy"] > 0.8
    assert len(ts.predict(tuned.folder, wine)) == 178
    with pytest.raises(RunError, match="no single net"):
        _ = ts.load(tuned.folder).model


def test_findings_of_the_data_are_told_and_nothing_is_dropped_without_a_word(wine, tmp_path):
    leaking = tmp_path / "leaking.csv"
    lines = wine.read_text().splitlines()
    leaking.write_text("\n".join([lines[0] + ",answer", *(line + "," + line.rsplit(" ", 1)[1] for line in lines[1:])]))

    tuned = ts.tune(leaking, RECIPE, target="kind", budget="3 epochs", folder=tmp_path / "a")

    look = next(one for one in tuned.decisions if one.stage == "look")
    assert "reservation" in look.title
    assert "answer" in look.because


def test_a_training_that_breaks_is_a_decision_and_not_the_end(wine, tmp_path, monkeypatch):
    import tunesmith.verbs.tune as verb

    class Breaking:
        def __init__(self, inner):
            self.inner = inner

        def train(self, config, **about):
            if "search-net" in str(about["folder"]):
                raise DataError("made to break")
            yield from self.inner.train(config, **about)

    whole = hands()
    broken = replace(whole, subject=lambda *given: Breaking(whole.subject(*given)))
    monkeypatch.setattr(verb, "hands", lambda: broken)

    tuned = ts.tune(wine, RECIPE, target="kind", budget=BUDGET, folder=tmp_path / "a", seed=1)

    assert any("broke" in one.title and "made to break" in one.because for one in tuned.decisions)
    assert tuned.scores["accuracy"] > 0.5


def test_the_plan_trains_nothing(wine):
    told = plan(wine, RECIPE, target="kind", budget="10m")

    assert (told["unit"], told["total"], told["kind"], told["metric"]) == ("seconds", 600.0, "multiclass", "accuracy")
    assert [one["stage"] for one in told["stages"]] == list(STAGES)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"budget": "soon"}, "budget = 'soon'"),
        ({"metric": lambda outputs, target: 0.0}, "metric of its own catalogue"),
        ({"recipe": {"data.val": 0.0}}, "validation rows"),
    ],
)
def test_what_cannot_be_tuned_is_one_sentence(about, said, wine, tmp_path):
    given = {"target": "kind", "budget": "3 epochs", "folder": tmp_path / "a"} | about

    with pytest.raises(DataError, match=said):
        ts.tune(wine, given.pop("recipe", RECIPE), **given)
    assert not (tmp_path / "a").exists()


def test_under_a_budget_in_time_what_the_clock_chose_is_kept(wine, tmp_path):
    about = {"target": "kind", "budget": "25s", "folder": tmp_path / "a", "seed": 1}
    first = ts.tune(wine, RECIPE, **about)
    titles = [one.title for one in first.decisions]
    (tmp_path / "a" / "scores.json").unlink()

    again = ts.tune(wine, RECIPE, resume=True, **about)  # nothing of the budget is left now

    assert [one.title for one in again.decisions] == titles
    assert again.judged["metric"] == "accuracy"


def test_its_page_shows_every_round_of_the_search_and_the_source_of_each_number(tuned):
    page = ts.report(tuned.folder).read_text()
    search = page[page.index('<section id="search">') :]

    for place in sorted((tuned.folder / "steps").glob("search-*/study.json")):
        assert f'id="{place.parent.name}"' in search
    assert "Best score by budget units spent" in search
    settings = page[page.index('<section id="settings">') : page.index('<section id="model">')]
    assert "<code>width</code></td><td>16</td><td>" in settings
    assert "derived: " in settings
    assert len(page.encode()) < 3_000_000


def test_two_tunings_stand_beside_each_other(tuned, tmp_path):
    other = shutil.copytree(tuned.folder, tmp_path / "other")

    page = ts.report([tuned.folder, other], tmp_path / "both.html").read_text().replace("\xa0", " ")

    assert "All were judged on the same rows." in page
    assert "+0.0000 (0.0000 to 0.0000), better in 50 %" in page
    assert "The runs have the same settings." in page


def test_a_tuning_says_on_which_rows_it_is_worse(tmp_path):
    table().write_csv(tmp_path / "towns.csv")

    tuned = ts.tune(tmp_path / "towns.csv", RECIPE, target="y", budget="3 epochs", folder=tmp_path / "tuned")

    told = json.loads((tuned.folder / "slices" / "test.json").read_text())
    out = io.StringIO()
    PlainTune(out).finish(tuned, ts.report(tuned.folder))
    assert (told["slices"][0]["by"], told["slices"][0]["name"], told["slices"][0]["worse"]) == ("town", "B", True)
    assert "Where is it worse?</dt><dd>Town B (" in (tuned.folder / "report.html").read_text()
    assert "worse on town B (" in out.getvalue()


def test_what_the_rules_see_in_the_best_net_is_marked_on_its_curves(tmp_path):
    recipe = RECIPE | {"train.epochs": 8, "optim.name": "sgd", "optim.momentum": 0.99, "optim.lr": 2.0}
    table(400).write_csv(tmp_path / "towns.csv")

    tuned = ts.tune(tmp_path / "towns.csv", recipe, target="y", budget="8 epochs", folder=tmp_path / "tuned")

    told = json.loads((tuned.folder / "seen.json").read_text())
    page = ts.report(tuned.folder).read_text()
    curves = page[page.index('<section id="curves">') :]
    assert told["findings"]
    assert (tuned.folder / told["run"] / "run.json").is_file()
    assert f"<code>{told['findings'][0]['fault']}</code> at update " in curves
    assert '<g class="pin ' in curves
