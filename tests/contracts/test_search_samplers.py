"""What every sampler of the search keeps: proposals lie in the space, follow the seed and the history, and bear with any history."""

import importlib
import math

import numpy as np
import pytest

from tunesmith.records import Trial
from tunesmith.search import Choice, Distributed, Exhausted, Int, Ordinal, Real, Space
from tunesmith.search.history import History
from tunesmith.search.prior import read_prior
from tunesmith.search.samplers import SAMPLERS

SPACE = Space(
    {
        "lr": Real(1e-5, 1e-1, log=True),
        "drop": Real(0, 0.5, step=0.1),
        "noise": Distributed("norm", (0.0, 1.0)),
        "depth": Int(1, 6),
        "width": Ordinal([16, 32, 64, 128]),
        "name": Choice(["sgd", "adam"]),
        "momentum": Real(0, 0.99, when=("name", "sgd")),
        "nesterov": Choice([True, False], when=("name", "sgd")),
        "boost": Real(0, 1, when=("nesterov", True)),
    },
    ["depth * width <= 400"],
)
PRIOR = read_prior({"lr": 1e-3, "width": (64, "high"), "depth": 2, "name": "adam"}, SPACE)
OPTUNA = ("cmaes", "optuna_gp", "optuna_tpe")
DEAR = ("gp", "optuna_gp")  # a good part of a second each
LEARNING = ("tpe", "gp", "evolution")


@pytest.fixture(params=list(SAMPLERS))
def name(request):
    if request.param in OPTUNA:
        pytest.importorskip("optuna")
        if request.param == "cmaes":
            pytest.importorskip("cmaes")
        if request.param == "optuna_gp":
            pytest.importorskip("torch")
    return request.param


def loss(config):
    return (math.log10(config["lr"]) + 3) ** 2 / 10 + abs(config["depth"] - 3) / 10 + (config["name"] == "sgd") / 5


def told(id, config, scores=None, state="done"):
    scores = [loss(config)] if scores is None else scores
    return Trial(id=id, change=config, records=tuple({"score": score} for score in scores), state=state, seed=5)


def past(count, space=SPACE, **more):
    rng = np.random.default_rng(1)
    return History([told(id, space.sample(rng), **more) for id in range(count)])


def ask(name, trials, seed=0, space=SPACE, **more):
    return SAMPLERS[name](space, trials, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("count", [0, 3, 40])
def test_a_proposal_lies_in_the_space_and_follows_the_seed(name, count):
    trials = past(count)

    for seed in range(1 if name in DEAR else 5):
        first, again = ask(name, trials, seed), ask(name, trials, seed)
        assert first == again
        assert SPACE.holds(first)


def test_a_plain_tuple_of_trials_is_as_good_as_a_history(name):
    trials = past(20)

    assert ask(name, tuple(trials)) == ask(name, trials)


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_a_search_of_proposals_that_are_all_valid(name, prior):
    trials = History()
    asks = {"grid": 40, "gp": 14, "optuna_gp": 12, "optuna_tpe": 30, "cmaes": 30}.get(name, 100)

    for id in range(asks):
        config = ask(name, trials, [3, id], prior=prior)
        assert SPACE.holds(config)
        scores = [math.nan] if id % 7 == 3 else [loss(config)]
        trials.put(told(id, config, scores, "failed" if id % 7 == 3 else "running" if id % 5 == 4 else "done"))

    assert len(trials) == asks


@pytest.mark.parametrize(
    "trials",
    [
        History([told(id, SPACE.sample(np.random.default_rng(id)), [], "running") for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(id)), [math.nan], "failed") for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(id)), [], "failed") for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(id)), [1.0]) for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(7)), [1.0]) for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(id)), [math.inf, 1e300]) for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(id)), [1.0] * (1 + id), "paused") for id in range(20)]),
        History([told(id, SPACE.sample(np.random.default_rng(id)), [float(id)], "stopped") for id in range(20)]),
    ],
    ids=["all run", "all NaN", "all failed", "all equal", "one point", "huge", "of all lengths", "all stopped"],
)
def test_any_history_is_borne(name, trials):
    assert SPACE.holds(ask(name, trials))


@pytest.mark.parametrize("size", ["finite", "constrained", "conditional"])
def test_a_finite_space_is_gone_through_without_repeats(name, size):
    if name in DEAR and size != "constrained":
        pytest.skip("gone through once: a good part of a second each")
    domains = {"a": Ordinal([1, 2, 3]), "b": Choice(["x", "y"]), "c": Int(1, 2)}
    if size == "conditional":
        domains["d"] = Choice([True, False], when=("b", "y"))
    space = Space(domains, ["a + c <= 4"] if size == "constrained" else [])
    trials = History()

    with pytest.raises(Exhausted, match="have been tried"):
        while len(trials) < 50:
            config = ask(name, trials, len(trials), space)
            trials.put(told(len(trials), config, [config["a"] + config["c"] / 3]))

    assert len(trials) == {"finite": 12, "constrained": 10, "conditional": 18}[size]
    assert len({tuple(sorted(trial.change.items())) for trial in trials}) == len(trials)


def test_one_parameter_and_a_space_of_one_configuration(name):
    line = Space({"x": Real(0, 1)})
    trials = History([told(id, {"x": id / 20}, [abs(id / 20 - 0.3)]) for id in range(20)])

    assert line.holds(ask(name, trials, space=line))
    assert ask(name, (), space=Space({"x": 3})) == {"x": 3}


def test_names_that_are_no_words_of_python(name):
    space = Space(
        {"optim.lr": Real(1e-5, 1e-1, log=True), "model.layers-n": Int(1, 5)}, ["model.layers-n * optim.lr < 0.2"]
    )
    trials = History()

    for id in range(8):
        config = ask(name, trials, id, space)
        trials.put(told(id, config, [config["optim.lr"]]))
        assert space.holds(config)


@pytest.mark.parametrize("learner", LEARNING)
def test_those_that_learn_beat_chance_on_a_smooth_bowl(learner):
    space = Space({"x": Real(0, 1), "y": Real(1e-4, 1, log=True), "z": Int(1, 32), "c": Choice(["a", "b", "d"])})
    count, seeds = {"gp": (20, 2), "tpe": (40, 5), "evolution": (60, 7)}[learner]

    def bowl(config):
        place = space.to_units(config)
        return (
            sum((place[key] - at) ** 2 for key, at in (("x", 0.3), ("y", 0.7), ("z", 0.5))) + (config["c"] != "b") / 4
        )

    def best(name, seed):
        trials = History()
        for id in range(count):
            config = ask(name, trials, [seed, id], space)
            trials.put(told(id, config, [bowl(config)]))
        return trials.value(trials.best().id)

    found = np.median([best(learner, seed) for seed in range(seeds)])

    assert found < 0.5 * np.median([best("random", seed) for seed in range(15)])


@pytest.mark.parametrize("learner", LEARNING)
def test_an_experts_configuration_comes_first(learner):
    assert ask(learner, (), prior=PRIOR) == PRIOR.config


def test_its_page_says_when_and_from_where(name):
    said = importlib.import_module(f"tunesmith.search.samplers.{name}").__doc__

    assert said.startswith(f"{name}: ")
    assert all(f"\n{row}: " in said for row in ("Use", "Limits", "Source"))
