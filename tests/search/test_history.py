import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.records import Trial
from tunesmith.search.history import History, as_history, score_of


def trial(id, scores, state="paused"):
    return Trial(id=id, change={"x": id}, records=tuple({"score": score} for score in scores), state=state)


@given(st.lists(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5), max_size=8))
def test_values_are_the_best_finite_scores_and_spent_counts_units(curves):
    history = History([trial(id, curve) for id, curve in enumerate(curves)])

    for id, curve in enumerate(curves):
        assert history.value(id) == min((score for score in curve if math.isfinite(score)), default=math.inf)
    assert history.spent == sum(map(len, curves))
    assert history.values().tolist() == [history.value(id) for id in range(len(curves))]
    best = history.best()
    assert (best is None) == (not any(math.isfinite(score) for curve in curves for score in curve))
    assert best is None or history.value(best.id) == min(history.values())


def test_putting_a_trial_again_replaces_it():
    history = History([trial(0, [1.0]), trial(1, [2.0])])

    history.put(trial(0, [1.0, 0.5, math.nan]))

    assert len(history) == 2
    assert history.spent == 4
    assert history.value(0) == 0.5
    assert np.isnan(history.scores(0)[-1])


def test_what_runs_is_promised():
    history = History([trial(0, [1.0])])

    history.begun(0, 9)

    assert history[0].state == "running"
    assert history.promised_units == 8


def test_equal_scores_go_to_the_earlier():
    assert History([trial(0, [2.0]), trial(1, [1.0]), trial(2, [1.0])]).best().id == 1


def test_trials_of_any_numbers_are_numbered_anew_and_a_history_stays():
    history = as_history([trial(7, [1.0]), trial(3, [2.0])])

    assert [one.id for one in history] == [0, 1]
    assert as_history(history) is history


@pytest.mark.parametrize(("record", "score"), [({"score": 1}, 1.0), ({"score": None}, math.nan), ({}, math.nan)])
def test_a_record_without_a_score_has_none(record, score):
    assert score_of(record) == pytest.approx(score, nan_ok=True)
