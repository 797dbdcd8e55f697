import numpy as np
import pytest
from scipy.stats import qmc

from tunesmith.records import Trial
from tunesmith.search import Choice, Int, Real, Space
from tunesmith.search.samplers import SAMPLERS

SQUARE = Space({"x": Real(0, 1), "y": Real(0, 1)})


def walked(name, count, space=SQUARE, seed=0):
    trials = []
    for id in range(count):
        config = SAMPLERS[name](space, trials, np.random.default_rng([seed, id]))
        trials.append(Trial(id=id, change=config, seed=seed))
    return trials


def places(trials):
    return np.array([[trial.change["x"], trial.change["y"]] for trial in trials])


@pytest.mark.parametrize("name", ["sobol", "halton"])
def test_points_are_spread_more_evenly_than_chance(name):
    found = [qmc.discrepancy(places(walked(name, 64, seed=seed)), method="L2-star") for seed in range(3)]
    chance = [qmc.discrepancy(places(walked("random", 64, seed=seed)), method="L2-star") for seed in range(20)]

    assert np.max(found) < np.quantile(chance, 0.1)


@pytest.mark.parametrize(("name", "engine"), [("sobol", qmc.Sobol), ("halton", qmc.Halton)])
def test_they_are_the_points_of_scipy_of_one_scrambling(name, engine):
    reference = engine(2, scramble=True, rng=np.random.default_rng(7))
    reference.fast_forward(1)

    assert places(walked(name, 16, seed=7))[1:] == pytest.approx(reference.random(15), abs=1e-9)


@pytest.mark.parametrize("name", ["sobol", "halton"])
def test_another_seed_is_another_sequence(name):
    assert places(walked(name, 5, seed=1))[4] != pytest.approx(places(walked(name, 5, seed=2))[4])


@pytest.mark.parametrize("name", ["sobol", "halton"])
def test_what_constraints_refuse_is_passed_over_without_repeats(name):
    space = Space({"x": Real(0, 1), "y": Real(0, 1), "c": Choice(["a", "b"]), "n": Int(1, 9)}, ["x + y < 0.5"])

    found = [tuple(trial.change.values()) for trial in walked(name, 30, space)]

    assert len(set(found)) == 30
