import math

import numpy as np
import pytest

from tunesmith.records import Trial
from tunesmith.search import Real, Space
from tunesmith.search.budgets import BUDGETS, Setting
from tunesmith.search.budgets.median_stopping import passes, running_averages
from tunesmith.search.history import History


def history(*curves):
    return History(
        [
            Trial(
                id=id,
                change={"x": 0.5},
                records=tuple({"score": score} for score in curve),
                state="done" if len(curve) == 9 else "paused",
            )
            for id, curve in enumerate(curves)
        ]
    )


def test_averages_run_up_to_each_unit():
    averages = running_averages(history([4.0, 2.0, 0.0], [1.0], [2.0, math.nan]), 4)

    assert averages[0, :3].tolist() == [4.0, 3.0, 2.0]
    assert averages[1, 0] == 1.0
    assert np.isnan(averages[1, 1:]).all()
    assert averages[2, 1] == math.inf


@pytest.mark.parametrize(("score", "goes_on"), [(2.9, True), (3.0, True), (3.1, False)])
def test_the_rule_of_vizier_at_the_median_itself(score, goes_on):
    """Averages at unit 2 of the others are 1, 2, 3, 4 and 5: strictly worse than 3 is stopped."""
    trials = history(*[[level + 1, level - 1] for level in (1.0, 2.0, 3.0, 4.0, 5.0)], [9.0, score])

    assert passes(trials, 5, running_averages(trials, 9), startup=5) == goes_on


def test_nobody_is_stopped_before_enough_are_known():
    trials = history([1.0], [2.0], [100.0])

    assert passes(trials, 2, running_averages(trials, 9), startup=3)
    assert not passes(trials, 2, running_averages(trials, 9), startup=2)


def test_a_trial_that_does_not_pass_rests_and_a_new_one_begins():
    setting = Setting(space=Space({"x": Real(0, 1)}), max_budget=9, options={"every": 2, "grace": 3, "startup": 3})
    budget = BUDGETS["median_stopping"](setting)
    done = [[1.0] * 9, [2.0] * 9, [3.0] * 9]

    new = budget(history(*done, [5.0] * 3), np.random.default_rng(0))
    onward = budget(history(*done, [1.5] * 3), np.random.default_rng(0))

    assert (new.trial, new.upto) == (4, 3)
    assert (onward.trial, onward.start, onward.upto) == (3, 3, 5)
