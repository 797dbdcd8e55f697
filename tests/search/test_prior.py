import math

import numpy as np
import pytest
from scipy import stats

from tunesmith.records import DataError
from tunesmith.search import Choice, Int, Real, Space
from tunesmith.search.prior import Prior, read_prior
from tunesmith.search.samplers.believed import cut_normal, draw, log_cut_normal, log_density, width

SPACE = Space({"lr": Real(1e-5, 1e-1, log=True), "depth": Int(1, 5), "name": Choice(["a", "b", "c"])})


def test_values_and_confidences_are_read():
    prior = read_prior({"lr": 1e-3, "depth": (2, "high"), "name": ("b", 0.6)}, SPACE)

    assert prior == Prior({"lr": 1e-3, "depth": 2, "name": "b"}, {"lr": 0.5, "depth": 0.75, "name": 0.6})
    assert read_prior(None, SPACE) is None
    assert read_prior({"lr": 7}, SPACE).config["lr"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lrr": 1}, "did you mean 'lr'"),
        ({"lr": (1e-3, 1.0)}, "in \\(0, 1\\)"),
        ({"lr": (1e-3, "sure")}, "low, medium or high"),
        ({"name": "z"}, "expected one of"),
        ({"lr": "small"}, "expected a number"),
    ],
)
def test_what_is_no_prior_gets_a_sentence(given, says):
    with pytest.raises(DataError, match=says):
        read_prior(given, SPACE)


@pytest.mark.parametrize(("middle", "deviation"), [(0.5, 0.25), (0.02, 0.125), (1.0, 0.5)])
def test_the_normal_is_cut_as_scipys(middle, deviation):
    reference = stats.truncnorm((0 - middle) / deviation, (1 - middle) / deviation, middle, deviation)
    places = np.linspace(0, 1, 21)

    drawn = cut_normal(np.full(2000, middle), deviation, np.random.default_rng(0))

    assert log_cut_normal(places, middle, deviation) == pytest.approx(reference.logpdf(places))
    assert stats.kstest(drawn, reference.cdf).pvalue > 0.01


def test_the_density_of_a_belief_has_mass_one():
    prior = read_prior({"lr": (1e-3, "high"), "name": ("b", "low")}, SPACE)
    rng = np.random.default_rng(0)
    units = rng.uniform(size=(20_000, 3))

    density = np.exp(log_density(SPACE, ("lr", "depth", "name"), prior, units))

    assert density.mean() == pytest.approx(1, abs=0.03)


def test_draws_follow_the_belief():
    prior = read_prior({"lr": (1e-3, "high"), "name": ("b", "high")}, SPACE)
    rng = np.random.default_rng(0)

    drawn = [draw(SPACE, prior, rng) for _ in range(1000)]

    assert np.mean([config["name"] == "b" for config in drawn]) == pytest.approx(0.75 + 0.25 / 3, abs=0.04)
    assert np.std([SPACE["lr"].to_unit(config["lr"]) for config in drawn]) == pytest.approx(width(0.75), abs=0.01)
    assert np.bincount([config["depth"] for config in drawn])[1:].min() > 150


def test_a_constraint_holds_for_draws_of_a_prior_that_breaks_it():
    space = Space({"a": Real(0, 1), "b": Real(0, 1)}, ["a + b < 0.5"])
    prior = read_prior({"a": (1.0, "high"), "b": (1.0, "high")}, space)

    drawn = [draw(space, prior, np.random.default_rng(seed)) for seed in range(20)]

    assert all(space.holds(config) for config in drawn)
    assert not math.isnan(sum(config["a"] for config in drawn))
