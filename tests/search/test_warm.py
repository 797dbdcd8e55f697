"""Searches that learn from earlier ones."""

import math

import numpy as np
import pytest

from tests.search.searching import by_trial
from tunesmith.records import DataError, RunError, Trial
from tunesmith.search import Choice, Exhausted, Real
from tunesmith.search.ask import Search
from tunesmith.search.journal import FILE, read
from tunesmith.search.study import Study
from tunesmith.search.warm import earlier_trials

SPACE = {"a": Real(0, 1), "b": Real(0, 1), "c": Real(0, 1), "kind": Choice(["x", "y"])}
END = 9


def curve(config, upto, best=0.7):
    bowl = sum((config[name] - best) ** 2 for name in "abc") + 0.1 * (config["kind"] == "x")
    return [{"score": bowl + math.exp(-epoch / 2)} for epoch in range(1, upto + 1)]


def run(search, best=0.7, most=10_000):
    for _ in range(most):
        try:
            proposal = search.ask()
        except Exhausted:
            break
        search.tell(proposal.trial, curve(proposal.config, proposal.upto, best))
    return search


def found(seed, trainings=3, **given):
    return run(Search(SPACE, END, total=trainings * END, seed=seed, **given))


def value(search):
    return search.trials.value(search.best.id)


def test_what_was_found_before_saves_epochs():
    earlier = run(Search(SPACE, END, total=15 * END, seed=100))

    cold = [value(found(seed)) for seed in range(4)]
    warm = [value(found(seed, warm=earlier)) for seed in range(4)]

    assert np.mean(warm) < np.mean(cold)
    assert max(warm) <= value(earlier) + 0.05


def test_earlier_trials_of_something_else_do_not_ruin_a_search():
    earlier = run(Search(SPACE, END, total=15 * END, seed=100), best=0.1)

    cold = [value(found(seed, 12)) for seed in range(3)]
    warm = [value(found(seed, 12, warm=earlier)) for seed in range(3)]

    assert np.mean(warm) < np.mean(cold) + 0.1


def test_earlier_trials_are_not_of_this_search():
    earlier = found(1)

    search = Search(SPACE, END, total=3 * END, seed=2, warm=earlier)

    assert (len(search.trials), search.trials.spent, search.best) == (0, 0, None)
    assert len(search.trials.earlier) == len(earlier.trials)
    first = search.ask()
    assert first.trial == 0
    assert first.config == earlier.best.change


@pytest.mark.parametrize("sampler", ["tpe", "gp", "evolution", "random"])
def test_samplers_see_them_and_budgets_count_their_own_trials(sampler):
    earlier = found(1, 10)

    search = Search(SPACE, END, total=6 * END, sampler=sampler, budget="asha", seed=2, warm=earlier)
    run(search)

    assert search.trials.spent == 6 * END
    assert [trial.id for trial in search.trials] == list(range(len(search.trials)))


def test_a_model_begins_where_the_earlier_ones_were_good():
    earlier = found(1, 15)

    def distance(**given):
        search = Search(SPACE, 1, max_trials=6, sampler="gp", budget="full", seed=3, **given)
        run(search)
        return np.mean([abs(trial.change["a"] - 0.7) for trial in search.trials])

    assert distance(warm=list(earlier.trials)) < distance()


def test_they_are_copied_so_that_a_resume_needs_the_earlier_study_no_more(tmp_path):
    with Search(SPACE, END, total=4 * END, seed=1, folder=tmp_path / "first") as first:
        run(first)
    expected = found(2, 4, warm=tmp_path / "first")
    with Search(SPACE, END, total=4 * END, seed=2, folder=tmp_path / "second", warm=tmp_path / "first") as second:
        run(second, most=5)
    for one in sorted((tmp_path / "first").iterdir()):
        one.unlink()

    with Search(SPACE, END, total=4 * END, seed=2, folder=tmp_path / "second", resume=True) as again:
        run(again)

    assert by_trial(again) == by_trial(expected)
    assert [event["event"] for event in read(tmp_path / "second" / FILE)[0]].count("warm") == 1
    assert len(Study(tmp_path / "second").trials.earlier) == len(first.trials)


def test_a_search_begun_without_them_does_not_take_them_in_on_the_way(tmp_path):
    with Search(SPACE, END, total=4 * END, folder=tmp_path / "s") as search:
        run(search, most=2)

    with pytest.raises(DataError, match="begun without earlier trials"):
        Search(SPACE, END, total=4 * END, folder=tmp_path / "s", resume=True, warm=found(1))
    Search(SPACE, END, total=4 * END, folder=tmp_path / "s", resume=True).close()


def test_sources_of_all_kinds(tmp_path):
    with Search(SPACE, END, total=2 * END, folder=tmp_path / "s") as search:
        run(search)
    space, count = search.space, len(search.trials)

    for source in (tmp_path / "s", str(tmp_path / "s"), Study(search), search, list(search.trials)):
        assert len(earlier_trials(source, space, END)) == count
    assert len(earlier_trials([tmp_path / "s", search], space, END)) == 2 * count
    assert earlier_trials([], space, END) == []


def test_an_optuna_study_is_a_source():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("a", 0, 1), n_trials=3)

    kept = earlier_trials(study, Search({"a": Real(0, 1)}, 1).space, 1)

    assert [trial.records[-1]["score"] for trial in kept] == [trial.value for trial in study.trials]


def test_what_is_no_source_or_does_not_fit_is_told(tmp_path):
    with pytest.raises(DataError, match="warm has a int; expected the folder of a study"):
        Search(SPACE, END, warm=3)
    with pytest.raises(RunError, match="no search in"):
        Search(SPACE, END, warm=tmp_path / "nowhere", folder=tmp_path / "s")
    assert not (tmp_path / "s").exists()
    with pytest.raises(
        DataError, match=r"none of the 1 earlier trials fits the space: they have z, the space has a, b, c, kind"
    ):
        Search(SPACE, END, warm=[Trial(id=0, change={"z": 1}, records=({"score": 1.0},), state="done")])


def test_trials_that_only_rested_do_not_repel():
    """What was paused is shown as far as it came; only what failed or was stopped is bad at its end."""
    resting = [
        Trial(id=0, change={"a": 0.7, "b": 0.7, "c": 0.7, "kind": "y"}, records=({"score": 0.6},), state="paused")
    ]

    search = Search(SPACE, END, total=9 * END, seed=1, warm=resting)
    run(search)

    assert search.trials.earlier[0].state == "paused"
    assert value(search) < 0.1
