import functools
import json

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.search import Choice, Fixed, Int, Real, Space
from tunesmith.search.spaces import space_from


def tree(trial):
    model = trial.suggest_categorical("model", ["mlp", "cnn"])
    trial.suggest_float("lr", 1e-5, 1, log=True)
    if model == "mlp":
        for layer in range(trial.suggest_int("layers", 1, 3)):
            trial.suggest_int(f"units{layer}", 16, 128, step=16)
        if trial.suggest_categorical("norm", [True, False]):
            trial.suggest_float("momentum", 0, 1, step=0.1)
    else:
        trial.suggest_int("channels", 8, 64, log=True)
    if trial.suggest_categorical("optimizer", ["sgd", "adam", "lion"]) != "sgd":
        trial.suggest_float("beta", 0.9, 0.999)


def test_all_branches_are_walked_and_conditions_found():
    space = space_from(tree)

    assert space["lr"] == Real(1e-5, 1, log=True)
    assert space["layers"] == Int(1, 3, when=("model", "mlp"))
    assert space["units0"] == Int(16, 128, step=16, when=("model", "mlp"))
    assert space["units1"] == Int(16, 128, step=16, when=("layers", (2, 3)))
    assert space["units2"] == Int(16, 128, step=16, when=("layers", 3))
    assert space["norm"] == Choice([True, False], when=("model", "mlp"))
    assert space["momentum"] == Real(0, 1, step=0.1, when=("norm", True))
    assert space["channels"] == Int(8, 64, log=True, when=("model", "cnn"))
    assert space["beta"].when == ("optimizer", ("adam", "lion"))
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


class Replay:
    """A trial that answers from a configuration, and notes what it is asked."""

    def __init__(self, config):
        self.config, self.asked = config, set()

    def _answer(self, name, *ends, **more):
        self.asked.add(name)
        return self.config[name]

    suggest_float = suggest_int = suggest_categorical = _answer


def test_the_function_asks_for_just_what_a_configuration_has():
    space = space_from(tree)

    for seed in range(100):
        config = space.sample(np.random.default_rng(seed))
        replay = Replay(config)
        tree(replay)
        assert replay.asked == set(config)


def test_old_names_partials_and_ranges_of_one_value():
    def old(trial, top):
        trial.suggest_uniform("a", 0, top)
        trial.suggest_loguniform("b", 1e-3, top)
        trial.suggest_discrete_uniform("c", 0, top, 0.5)
        trial.suggest_int("d", 3, 3)
        trial.set_user_attr("note", 1)
        assert trial.suggest_uniform("a", 0, top) == trial.params["a"]

    space = space_from(functools.partial(old, top=2))

    assert dict(space) == {"a": Real(0, 2), "b": Real(1e-3, 2, log=True), "c": Real(0, 2, step=0.5), "d": Fixed(3)}


def joint(trial):
    if trial.suggest_categorical("a", [1, 2]) == trial.suggest_categorical("b", [1, 2]) == 2:
        trial.suggest_float("x", 0, 1)


def on_a_real(trial):
    if trial.suggest_float("a", 0, 1) > 0.4:
        trial.suggest_float("x", 0, 1)


def two_ranges(trial):
    trial.suggest_float("x", 0, trial.suggest_categorical("a", [1, 2]))


def endless(trial):
    for number in range(20):
        trial.suggest_categorical(f"c{number}", [1, 2, 3])


def training(trial):
    trial.suggest_float("x", 0, 1)
    trial.report(1.0, 0)


def broken(trial):
    return 1 / (trial.suggest_categorical("x", [0, 1]))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (joint, "more than one condition"),
        (on_a_real, "depends on a"),
        (two_ranges, "give it two names"),
        (endless, "more than 5000 branches"),
        (training, "trial.report"),
        (broken, "ZeroDivisionError"),
        (lambda trial: None, "no parameter"),
    ],
)
def test_what_no_space_can_hold_gets_a_sentence(function, says):
    with pytest.raises(DataError, match=says):
        space_from(function)


def test_distributions_of_optuna_itself():
    made = pytest.importorskip("optuna").distributions

    space = space_from(
        {
            "a": made.FloatDistribution(0, 1, step=0.25),
            "b": made.IntDistribution(1, 100, log=True),
            "c": made.CategoricalDistribution(["x", None, 2]),
        }
    )

    assert dict(space) == {"a": Real(0, 1, step=0.25), "b": Int(1, 100, log=True), "c": Choice(["x", None, 2])}


def test_a_real_study_takes_what_the_space_draws():
    optuna = pytest.importorskip("optuna")
    space = space_from(tree)

    for seed in range(20):
        config = space.sample(np.random.default_rng(seed))
        trial = optuna.trial.FixedTrial(config)
        tree(trial)
        assert trial.params == pytest.approx(config) or dict(trial.params) == config
