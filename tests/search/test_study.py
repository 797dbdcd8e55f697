"""A study: what a search found, read from its folder while it goes on or long after."""

import csv
import io
import json

import pytest

from tests.search.searching import carried_out, opened, records_of
from tunesmith.records import DataError, RunError
from tunesmith.search.study import Study
from tunesmith.search.study_confirm import compared, fresh_scores, interval
from tunesmith.search.study_export import export, exported


def test_a_study_of_a_folder_says_what_the_search_found(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search)

    study = Study(tmp_path / "s")

    assert list(study.trials) == list(search.trials)
    assert study.space == search.space
    assert study.best == search.best
    assert study.best_config == search.best.change
    assert study.best_score == min(record["score"] for trial in search.trials for record in trial.records)
    assert study.best_record["score"] == study.best_score
    assert study.folder == tmp_path / "s"


def test_a_study_can_be_read_while_the_search_goes_on(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=6)
        proposal = search.ask()
        search.checkpoint(proposal.trial, records_of(proposal)[:1])

        study = Study(tmp_path / "s")
        status = study.status()
        carried_out(search, most=2)
        study.refresh()

        assert status["active"]
        assert (status["running"], status["under_way"]) == (1, 1)
        assert list(study.trials) == list(search.trials)
    assert not study.status()["active"]


def test_status_counts_states_and_says_why(tmp_path):
    with opened(tmp_path / "s", total=10, budget="full", max_budget=2) as search:
        search.tell(search.ask().trial, [{"score": 1.0}, {"score": 0.5}])
        search.tell(search.ask().trial, [{"score": 1.0, "cause": "lr.too_high"}])
        search.tell(search.ask().trial, [], failed="ValueError: no")
        search.tell(search.ask().trial, [], failed="ValueError: no")
        search.tell(search.ask().trial, [{"score": 3.0}])

    status = Study(tmp_path / "s").status()

    assert [status[state] for state in ("running", "paused", "done", "stopped", "failed")] == [0, 1, 1, 1, 2]
    assert status["reasons"] == {"ValueError: no": 2, "lr.too_high": 1}
    assert (status["spent"], status["total"], status["left"], status["max_budget"]) == (4, 10, 6, 2)


def test_a_study_without_a_score_says_why(tmp_path):
    with opened(tmp_path / "s") as search:
        search.tell(search.ask().trial, [], failed="ValueError: no")

        study = Study(search)

    assert study.best is None
    assert "no score yet" in repr(study)
    with pytest.raises(RunError, match="no trial with a score, of 1; 1 ended with: ValueError: no"):
        _ = study.best_score


def test_what_shows_a_study_escapes_what_it_shows():
    search = opened(space={"x": {"type": "cat", "choices": ["<b>"]}}, budget="full", sampler="random", max_budget=1)
    search.tell(search.ask().trial, [{"score": 1.0}])

    shown = Study(search)._repr_html_()

    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown


def test_the_trials_as_a_table(tmp_path):
    search = opened()
    carried_out(search, most=12)
    study = Study(search)

    rows = list(csv.DictReader(io.StringIO(exported(study, "csv"))))

    assert [int(row["trial"]) for row in rows] == [trial.id for trial in search.trials]
    assert [float(row["score"]) for row in rows] == [search.trials.value(trial.id) for trial in search.trials]
    assert {row["momentum"] == "" for row in rows if row["depth"] != "2"} == {True}
    told = json.loads(export(study, tmp_path / "t.json").read_text(encoding="utf-8"))
    assert [len(one["records"]) for one in told["trials"]] == [len(trial.records) for trial in search.trials]
    with pytest.raises(DataError, match="no export of trials as 'xls'"):
        exported(study, "xls")


def test_a_folder_that_is_no_study_is_said(tmp_path):
    with pytest.raises(RunError, match=r"holds no study\.json"):
        Study(tmp_path)
    with pytest.raises(RunError, match="no search in"):
        Study(tmp_path / "nothing")


def test_a_study_of_a_function_has_no_model(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=1)

    with pytest.raises(RunError, match="holds no model"):
        Study(tmp_path / "s").model()


def test_the_interval_is_that_of_student():
    from scipy import stats

    values = [0.3, 0.5, 0.9, 0.4]

    found = interval(values)

    low, high = stats.t.interval(0.95, 3, loc=0.525, scale=stats.sem(values))
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((0.525, low, high))
    assert interval([0.5, float("nan")]) == {"mean": 0.5, "low": None, "high": None}
    assert interval([]) == {"mean": None, "low": None, "high": None}


def test_fresh_seeds_unmask_the_luckiest_of_many(tmp_path):
    """Fifty equal configurations and noise of 1: the search sees the luckiest; fresh trainings see the truth."""
    import numpy as np

    from tunesmith.search import Real
    from tunesmith.search.ask import Search
    from tunesmith.search.driver import drive
    from tunesmith.search.executors import EXECUTORS
    from tunesmith.search.subjects import subject_of

    noisy = subject_of(lambda config, seed: float(np.random.default_rng(seed).normal()))
    search = Search({"x": Real(0, 1)}, 1, total=50, sampler="random", budget="full")
    drive(search, noisy)
    best = search.best
    local = EXECUTORS["local"]()
    local.start(noisy, 1, None)

    (fresh,) = fresh_scores(local, [best.change], 40, seed=0, max_budget=1, place=tmp_path, at_once=1)

    told = compared([(best.id, search.trials.value(best.id))], [fresh], None)["trials"][0]
    assert told["seen"] < -1.5
    assert told["low"] < 0 < told["high"]
    assert told["flattery"] > 1.5


def test_gains_are_taken_pair_by_pair():
    told = compared([(4, 0.1), (7, 0.2)], [[1.0, 2.0, 3.0], [2.0, 3.0, float("nan")]], [1.5, 2.5, 3.5])

    assert told["trials"][0]["gain"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert told["trials"][1]["gain"]["mean"] == -0.5
    assert told["winner"] == 4
