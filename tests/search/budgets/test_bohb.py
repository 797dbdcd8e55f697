import numpy as np
import pytest

from tunesmith.records import DataError, Trial
from tunesmith.search import Real, Space
from tunesmith.search.budgets import BUDGETS, Setting
from tunesmith.search.budgets.bohb import from_model
from tunesmith.search.history import History

SPACE = Space({"x": Real(0, 1)})


def history(count, longer):
    """`count` trials of one unit whose best is at 0.2; `longer` of them go on to three, where the best is at 0.8."""
    trials = History()
    for id in range(count):
        x = (id + 0.5) / count
        scores = [abs(x - 0.2) + 5, *([abs(x - 0.8)] * 2 if id % 2 == 0 and id < 2 * longer else [])]
        records = tuple({"score": score} for score in scores)
        trials.put(Trial(id=id, change={"x": x}, records=records, state="paused"))
    return trials


def drawn(trials, fraction):
    setting = Setting(space=SPACE, max_budget=9)
    return np.array([from_model(setting, trials, np.random.default_rng(seed), fraction, 64)["x"] for seed in range(60)])


def test_the_model_is_that_of_the_largest_budget_with_enough_trials():
    assert np.median(drawn(history(40, 0), 0.0)) == pytest.approx(0.2, abs=0.06)
    assert np.median(drawn(history(40, 3), 0.0)) == pytest.approx(0.2, abs=0.06)
    assert np.median(drawn(history(40, 20), 0.0)) == pytest.approx(0.8, abs=0.06)


def test_a_third_is_drawn_evenly():
    far = [np.mean(np.abs(drawn(history(40, 20), fraction) - 0.8) > 0.3) for fraction in (0.0, 1 / 3, 1.0)]

    assert far[0] < 0.1 < far[1] < far[2]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, "third", True])
def test_a_fraction_is_a_share(fraction):
    with pytest.raises(DataError, match="random_fraction"):
        BUDGETS["bohb"](Setting(space=SPACE, max_budget=9, options={"random_fraction": fraction}))


@pytest.mark.parametrize("name", ["bohb", "priorband"])
def test_a_sampler_beside_its_own_is_refused(name):
    with pytest.raises(DataError, match="model of its own"):
        BUDGETS[name](Setting(space=SPACE, max_budget=9, sampler=lambda *given, prior=None: {"x": 0.5}))
