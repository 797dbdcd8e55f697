import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from tunesmith.records import DataError, Trial
from tunesmith.search import Choice, Real, Space
from tunesmith.search.history import History
from tunesmith.search.prior import read_prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.gp import chosen, log_expected_improvement, targets
from tunesmith.search.samplers.observed import encode, observe
from tunesmith.search.samplers.process import Features, Process, features, fitted, negative_posterior

MIXED = Space({"x": Real(0, 1), "c": Choice(["a", "b", "d"]), "y": Real(0, 1, when=("c", ("b", "d")))})
LINE = Space({"x": Real(0, 1)})


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (2.0, 0.5), (-1.0, 2.0), (4.0, 0.7)])
def test_expected_improvement_is_the_integral(mean, deviation):
    density = stats.norm(mean, deviation).pdf

    found = log_expected_improvement(np.array([mean]), np.array([deviation]), 0.5)[0]

    assert np.exp(found) == pytest.approx(integrate.quad(lambda y: (0.5 - y) * density(y), -40, 0.5)[0], rel=1e-6)


def test_far_from_any_hope_it_still_has_a_slope():
    """What Ament et al. are about: the plain formula is 0 from some 38 deviations on."""
    at = np.array([10.0, 38.0, 100.0, 1e3, 1e5, 1e8])

    found = log_expected_improvement(at, np.ones(6), 0.0)

    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()
    assert found[2] == pytest.approx(-5000 - 0.5 * math.log(2 * math.pi) - 2 * math.log(100), abs=1e-3)


def process_of(rng, count=8):
    points = rng.uniform(size=(count, 2))
    values = np.sin(5 * points[:, 0]) + points[:, 1]
    return Process(Features(points, np.array([0, 1]), 2), values, np.array([4.0, 0.25]), 1.7, 1e-3)


def test_its_prediction_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    process = process_of(rng)
    at = rng.uniform(size=(20, 2))
    kernel = ConstantKernel(1.7) * Matern(length_scale=[0.5, 2.0], nu=2.5)
    reference = GaussianProcessRegressor(kernel, alpha=1e-3, optimizer=None).fit(process.seen.points, process.values)

    mean, deviation = process.predict(Features(at, process.seen.owner, 2))

    expected = reference.predict(at, return_std=True)
    assert mean == pytest.approx(expected[0], rel=1e-8)
    assert deviation == pytest.approx(expected[1], rel=1e-6)


def test_believing_changes_no_mean_and_takes_the_doubt_away():
    rng = np.random.default_rng(0)
    process = process_of(rng)
    at = Features(rng.uniform(size=(3, 2)), process.seen.owner, 2)
    elsewhere = Features(rng.uniform(size=(9, 2)), process.seen.owner, 2)

    sure = process.believing(at)

    assert sure.predict(elsewhere)[0] == pytest.approx(process.predict(elsewhere)[0], abs=2e-2)
    assert (sure.predict(at)[1] < 0.05).all()
    assert (process.predict(at)[1] > sure.predict(at)[1]).all()


def test_the_gradient_is_the_slope():
    rng = np.random.default_rng(0)
    configs = [MIXED.sample(rng) for _ in range(15)]
    seen = features(MIXED, tuple(MIXED.searched), encode(MIXED, configs, MIXED.searched))
    points = [seen.points[:, seen.owner == one] for one in range(seen.count)]
    parts = np.stack([((one[:, None] - one[None]) ** 2).sum(axis=2) for one in points])
    values = rng.normal(size=15)

    for _ in range(5):
        at = rng.normal(size=seen.count + 2)
        error = check_grad(
            lambda logs: negative_posterior(logs, parts, values)[0],
            lambda logs: negative_posterior(logs, parts, values)[1],
            at,
            epsilon=1e-6,
        )
        assert error < 1e-3 * (1 + np.abs(negative_posterior(at, parts, values)[1]).max())


def test_distances_are_what_the_page_says():
    configs = [{"x": 0.2, "c": "a"}, {"x": 0.6, "c": "b", "y": 0.9}, {"x": 0.6, "c": "d", "y": 0.4}]
    seen = features(MIXED, ("x", "c", "y"), encode(MIXED, configs, ("x", "c", "y")))

    squared = [
        [float(((seen.points[i, seen.owner == k] - seen.points[j, seen.owner == k]) ** 2).sum()) for k in range(3)]
        for i, j in ((0, 1), (1, 2))
    ]

    assert squared == [pytest.approx([0.16, 1.0, 0.75 + 0.16]), pytest.approx([0.0, 1.0, 0.25])]


def test_a_parameter_without_effect_is_found_out():
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(40, 2))

    process = fitted(Features(points, np.array([0, 1]), 2), targets(np.sin(6 * points[:, 0])))

    assert process.theta[0] > 10 * process.theta[1]


def test_failed_and_hopeless_values_do_not_drown_the_others():
    found = targets(np.array([1.0, 2.0, 3.0, 1e9, math.inf, math.nan]))

    assert np.isfinite(found).all()
    assert found[:3].tolist() == sorted(found[:3])
    assert found[1] - found[0] > 0.1
    assert found[3] == found[4] == found[5]


def test_of_a_long_history_the_best_and_evenly_chosen_others_are_looked_at():
    trials = History(
        [Trial(id=id, change={"x": id / 999}, records=({"score": float(id)},), state="done") for id in range(1000)]
    )

    few = chosen(observe(LINE, trials), 100)

    assert len(few) == 100
    assert few.values[:50].tolist() == list(range(50))
    assert np.diff(few.values[50:]) == pytest.approx(949 / 49, abs=1)


def bowl(count):
    places = np.linspace(0, 1, count)
    return [
        Trial(id=id, change={"x": at}, records=({"score": (at - 0.37) ** 2},), state="done", seed=1)
        for id, at in enumerate(places)
    ]


def test_the_valley_is_found():
    assert SAMPLERS["gp"](LINE, History(bowl(8)), np.random.default_rng(0))["x"] == pytest.approx(0.37, abs=0.05)


def test_what_runs_already_is_not_proposed_again():
    known = bowl(6)
    first = SAMPLERS["gp"](LINE, History(known), np.random.default_rng(0))["x"]

    running = [Trial(id=6 + n, change={"x": first}, state="running", seed=1) for n in range(2)]
    beside = SAMPLERS["gp"](LINE, History([*known, *running]), np.random.default_rng(0))["x"]

    assert abs(beside - first) > 0.01


def test_a_prior_leads_early_and_fades():
    prior = read_prior({"x": (0.9, "high")}, LINE)

    def asked(count):
        flat = [
            Trial(id=id, change={"x": at}, records=({"score": 1.0 + 0.01 * (id % 2)},), state="done", seed=1)
            for id, at in enumerate(np.linspace(0, 1, count))
        ]
        found = [
            SAMPLERS["gp"](LINE, History(flat), np.random.default_rng(seed), prior=prior)["x"] for seed in range(3)
        ]
        return np.abs(np.array(found) - 0.9).mean()

    assert asked(6) < 0.2


def test_one_trial_makes_no_model():
    with pytest.raises(DataError, match="startup = 1"):
        SAMPLERS["gp"](LINE, (), np.random.default_rng(0), startup=1)
