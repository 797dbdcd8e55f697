import numpy as np
import pytest
from scipy import integrate, stats

from tunesmith.records import DataError, Trial
from tunesmith.search import Choice, Real, Space
from tunesmith.search.history import History
from tunesmith.search.prior import read_prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.tpe import parzen

SPACE = Space({"x": Real(0, 1), "c": Choice(["a", "b", "d"]), "y": Real(0, 1, when=("c", "b"))})


def history(configs, score, running=0):
    trials = History()
    for id, config in enumerate(configs):
        state = "running" if id >= len(configs) - running else "done"
        records = () if state == "running" else ({"score": score(config)},)
        trials.put(Trial(id=id, change=config, records=records, state=state))
    return trials


def test_the_density_has_mass_one():
    units = np.random.default_rng(0).uniform(size=(12, 1))
    density = parzen(SPACE, ["x"], units, None)

    mass = integrate.quad(lambda at: np.exp(density.log_density(np.array([[at]]))[0]), 0, 1, limit=200)[0]

    assert mass == pytest.approx(1, abs=1e-6)


def test_the_density_of_choices_sums_to_one_and_counts_them():
    units = np.array([[0.5 / 3], [0.5 / 3], [1.5 / 3]])
    density = np.exp(parzen(SPACE, ["c"], units, None).log_density(np.array([[0.5 / 3], [1.5 / 3], [2.5 / 3]])))

    assert density.sum() == pytest.approx(1)
    assert density[0] > density[1] > density[2] > 0


def test_one_kernel_is_the_normal_of_scipy():
    density = parzen(SPACE, ["x"], np.array([[0.3]]), None)
    width = density.widths[0, 0]
    places = np.linspace(0, 1, 9)

    kernel = stats.truncnorm(-0.3 / width, 0.7 / width, 0.3, width).pdf(places)
    even = stats.truncnorm(-0.5, 0.5, 0.5, 1.0).pdf(places)

    assert np.exp(density.log_density(places[:, None])) == pytest.approx((kernel + even) / 2)


def test_samples_follow_the_density():
    density = parzen(SPACE, ["x"], np.array([[0.2], [0.8]]), None)
    places = np.linspace(0, 1, 2001)
    share = np.cumsum(np.exp(density.log_density(places[:, None])))

    found = density.sample(2000, np.random.default_rng(0))[:, 0]

    assert stats.kstest(found, lambda at: np.interp(at, places, share / share[-1])).pvalue > 0.01


def test_running_trials_are_kept_away_from():
    known = [{"x": at, "c": "a"} for at in np.linspace(0.02, 0.98, 30)]
    far = history(known, lambda config: abs(config["x"] - 0.5))
    crowd = [{"x": at, "c": "a"} for at in np.linspace(0.44, 0.56, 25)]
    near = history(known + crowd, lambda config: abs(config["x"] - 0.5), running=25)

    alone, beside = (
        np.mean([abs(SAMPLERS["tpe"](SPACE, one, np.random.default_rng(seed))["x"] - 0.5) for seed in range(30)])
        for one in (far, near)
    )

    assert beside > alone


def test_children_are_modelled_from_the_trials_that_had_them():
    rng = np.random.default_rng(0)
    configs = [SPACE.sample(rng) for _ in range(90)]
    trials = history(configs, lambda config: abs(config.get("y", 1.0) - 0.7) + (config["c"] != "b"))

    found = [SAMPLERS["tpe"](SPACE, trials, np.random.default_rng(seed)) for seed in range(40)]

    assert np.mean([config["c"] == "b" for config in found]) > 0.8
    assert np.median([config["y"] for config in found if "y" in config]) == pytest.approx(0.7, abs=0.1)


def test_an_expert_is_one_more_kernel():
    configs = [{"x": at, "c": "a"} for at in np.linspace(0.3, 0.99, 12)]
    trials = history(configs, lambda config: config["x"])
    prior = read_prior({"x": (0.05, "high")}, SPACE)

    without, beside = (
        np.mean(
            [SAMPLERS["tpe"](SPACE, trials, np.random.default_rng(seed), prior=one)["x"] < 0.15 for seed in range(40)]
        )
        for one in (None, prior)
    )

    assert beside > without


@pytest.mark.parametrize("options", [{"startup": 0}, {"candidates": 0}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(DataError, match="1 or more"):
        SAMPLERS["tpe"](SPACE, (), np.random.default_rng(0), **options)
