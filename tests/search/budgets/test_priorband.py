from fractions import Fraction

import numpy as np
import pytest

from tunesmith.records import DataError, Trial
from tunesmith.search import Choice, Real, Space
from tunesmith.search.ask import Search
from tunesmith.search.budgets.priorband import around, shares
from tunesmith.search.history import History
from tunesmith.search.prior import read_prior

SPACE = Space({"x": Real(0, 1), "y": Real(0, 1)})
RUNGS, ETA = (1, 3, 9), Fraction(3)


def history(best, count=9):
    """Nine fully trained trials, the best ones around `best`."""
    rng = np.random.default_rng(0)
    trials = History()
    for id in range(count):
        config = {name: float(np.clip(best + 0.02 * id * rng.normal(), 0, 1)) for name in SPACE}
        records = ({"score": 1.0 + id},) * 9
        trials.put(Trial(id=id, change=config, records=records, state="done"))
    return trials


@pytest.mark.parametrize("rung", [0, 1, 2, 3])
def test_chance_fades_with_the_rung_and_the_prior_has_the_rest_at_first(rung):
    prior = read_prior({"x": 0.2, "y": 0.2}, SPACE)

    by_chance, from_prior, around_best = shares(SPACE, History(), prior, RUNGS, ETA, rung)

    assert by_chance == pytest.approx(1 / (1 + 3**rung))
    assert from_prior == pytest.approx(1 - by_chance)
    assert around_best == 0


def test_a_good_prior_keeps_its_share_and_a_bad_one_loses_it():
    good, bad = (read_prior({"x": (at, "high"), "y": (at, "high")}, SPACE) for at in (0.25, 0.9))

    kept, lost = (shares(SPACE, history(0.2), prior, RUNGS, ETA, 1) for prior in (good, bad))

    assert sum(kept) == pytest.approx(1)
    assert kept[1] == pytest.approx(0.75 / 2, abs=0.1)  # as near the best trials as the best itself
    assert lost[1] < 0.001
    assert lost[2] == pytest.approx(0.75, abs=0.001)


def test_the_best_is_not_asked_before_a_bracket_is_spent():
    prior = read_prior({"x": 0.9}, SPACE)

    assert shares(SPACE, history(0.2, count=2), prior, RUNGS, ETA, 1)[2] == 0
    assert shares(SPACE, history(0.2, count=3), prior, RUNGS, ETA, 1)[2] > 0  # 27 units; a bracket is 9 + 6 + 6


def test_around_the_best_half_of_the_parameters_stay():
    space = Space({**{f"x{n}": Real(0, 1) for n in range(10)}, "c": Choice(["a", "b"])})
    config = {**{f"x{n}": 0.5 for n in range(10)}, "c": "a"}

    moved = [around(space, config, np.random.default_rng(seed)) for seed in range(200)]

    steps = np.array([[one[name] - 0.5 for name in space if name != "c"] for one in moved])
    assert np.mean(steps != 0) == pytest.approx(0.5, abs=0.05)
    assert np.mean([one["c"] == "b" for one in moved]) == pytest.approx(0.5, abs=0.12)
    assert all(one != config for one in moved)


def test_without_a_prior_it_says_so():
    with pytest.raises(DataError, match="without a prior"):
        Search(SPACE, 9, budget="priorband")
