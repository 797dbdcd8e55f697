"""Members for an ensemble: other seeds, ends of cycles, and the student of what was joined."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import datasets

from tunesmith.autopilot.handing import Handed
from tunesmith.autopilot.judging import bar
from tunesmith.autopilot.pilot import fly
from tunesmith.autopilot.stages.distil import distil
from tunesmith.autopilot.stages.judge import judge
from tunesmith.autopilot.stages.squeeze import _different, best_single
from tunesmith.runs import Run
from tunesmith.training import predicting
from tunesmith.verbs.tune import asked_for, hands

RECIPE = {"train.epochs": 15, "train.threads": 1, "model.width": 16, "train.batch_size": 64}


def flown(data, place, *, budget="400 epochs", **about):
    asked = asked_for(data, RECIPE, target=None, budget=budget, seed=0, command=(), about=about)
    return fly(asked, place, hands(), resume=False, tell=lambda decision: None)


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    X, y = datasets.load_wine(return_X_y=True)
    return flown((X.astype(np.float32), y), tmp_path_factory.mktemp("members") / "tuned", kind="multiclass")


def held(flight):
    return datasets.load_wine(return_X_y=True)[0].astype(np.float32)[flight.prepared.val.rows]


def decisions(flight, stage):
    return [one for one in flight.ledger.decisions if one.stage == stage]


def test_other_seeds_train_on_the_same_rows(flight):
    places = [flight.folder / flight.ledger.done[name]["run"] for name in ("plain/net", "seeds/1", "seeds/2")]
    seeds = {Run(place).recipe.train.seed for place in places}
    rows = [np.load(place / "data" / "split.npz") for place in places]

    assert len(seeds) == 3
    for name in ("train", "val", "test"):
        assert all(np.array_equal(rows[0][name], one[name]) for one in rows[1:])


def test_ends_of_cycles_are_kept_and_predict_by_themselves(flight):
    found = flight.ledger.done["seeds/cycles"]
    run = flight.folder / found["run"]
    ends = [one for one in flight.candidates if one.step is not None]

    assert [one.step for one in ends] == found["snapshots"]
    assert len(set(found["snapshots"])) == 3
    assert max(found["snapshots"]) == Run(run).evaluations[-1]["step"]
    assert not np.allclose(ends[0].said, ends[2].said)
    alone = predicting.load(run, step=ends[0].step)
    alone.temperature = 1.0
    told = alone.predict(held(flight))
    assert np.allclose(told.probabilities, ends[0].said, atol=1e-5)


def test_a_member_at_a_step_is_handed_over_with_it(flight, tmp_path):
    ends = [one for one in flight.candidates if one.step is not None]
    before = dict(flight.found)
    flight.found["members"] = {ends[0].name: 0.5, ends[1].name: 0.5}
    try:
        judge(flight)
        told = json.loads((flight.folder / "handed.json").read_text())
        said = Handed(flight.folder).predict(held(flight)).probabilities
    finally:
        flight.found.clear()
        flight.found.update(before)

    assert [one["step"] for one in told["members"]] == [ends[0].step, ends[1].step]
    wanted = (ends[0].said + ends[1].said) / 2
    assert np.array_equal(said.argmax(1), wanted.argmax(1))


def test_a_student_learns_from_the_members_and_stays_only_where_it_is_as_good(flight):
    nets = [one for one in flight.candidates if one.kind == "net"][:2]
    boosted = flight.called("gradient boosting")
    flight.found["members"] = {nets[0].name: 0.4, nets[1].name: 0.4, boosted.name: 0.2}
    distil(flight)
    told = decisions(flight, "distil")[-1]
    student = flight.called("student of the ensemble")

    assert student is not None
    assert told.evidence["run"] == student.place
    assert flight.found["members"] == (
        {student.name: 1.0} if told.taken else {nets[0].name: 0.4, nets[1].name: 0.4, boosted.name: 0.2}
    )
    assert told.taken == (told.evidence["gain"] >= 0 and told.evidence["over the best alone"]["gain"] > 0)
    assert student.score > flight.called("constant answer").score


def test_a_student_of_numbers_learns_them_in_the_unit_of_the_net(tmp_path):
    X, y = datasets.load_diabetes(return_X_y=True)
    flight = flown((X.astype(np.float32), 1000 + 10 * y), tmp_path / "tuned", budget="200 epochs", kind="regression")
    nets = [one for one in flight.candidates if one.kind == "net"][:2]
    flight.found["members"] = {nets[0].name: 0.5, flight.called("linear model").name: 0.5}
    distil(flight)
    student = flight.called("student of the ensemble")

    assert student is not None
    assert student.score > flight.called("constant answer").score  # R²
    assert 1000 < student.said.mean() < 3500


def test_two_that_say_the_same_count_once_in_an_average(flight):
    twice = replace(flight.candidates[-1], name="the same again")

    assert [one.name for one in _different([*flight.candidates[-2:], twice])] == [
        one.name for one in flight.candidates[-2:]
    ]


def test_what_was_left_is_not_handed_over_for_its_luck(flight):
    kept = best_single(flight)

    assert kept is flight.net or kept.kind in ("linear", "boosted")


def test_the_bar_rises_with_the_tries():
    bars = [bar(tries) for tries in range(1, 8)]

    assert bars == sorted(bars)
    assert bars[0] == 0.9
    assert bars[-1] < 1
