import sys

import numpy as np
import pytest

from tunesmith.records import MissingExtra, Trial
from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.history import History
from tunesmith.search.samplers import SAMPLERS

SPACE = Space(
    {
        "x": Real(0, 1),
        "y": Real(1e-4, 1, log=True),
        "z": Int(1, 64, log=True),
        "o": Ordinal([1, 2, 4]),
        "c": Choice(["a", None]),
    }
)


@pytest.mark.parametrize("name", ["cmaes", "optuna_gp", "optuna_tpe"])
def test_without_optuna_the_extra_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(MissingExtra, match=rf"{name} needs optuna.*tunesmith\[optuna\]"):
        SAMPLERS[name](SPACE, (), np.random.default_rng(0))


@pytest.mark.parametrize("name", ["cmaes", "optuna_tpe"])
def test_they_learn_from_a_history_alone(name):
    pytest.importorskip("optuna")
    pytest.importorskip("cmaes")
    rng = np.random.default_rng(0)
    trials = History()
    for id in range(60):
        config = SPACE.sample(rng)
        score = (config["x"] - 0.8) ** 2 + (SPACE["y"].to_unit(config["y"]) - 0.2) ** 2
        trials.put(Trial(id=id, change=config, records=({"score": score},), state="done"))

    found = [SAMPLERS[name](SPACE, trials, np.random.default_rng(seed)) for seed in range(12)]

    assert np.median([abs(config["x"] - 0.8) for config in found]) < 0.2
    assert all(SPACE.holds(config) for config in found)


def test_a_failed_trial_is_told_as_the_worst():
    optuna = pytest.importorskip("optuna")
    from tunesmith.search.samplers.optuna_study import _known

    records = [({"score": 1.0},), ({"score": float("nan")},), ({"score": 3.0},), ()]
    states = ["done", "failed", "done", "running"]
    trials = [
        Trial(id=id, change=SPACE.sample(np.random.default_rng(id)), records=one, state=state)
        for id, (one, state) in enumerate(zip(records, states, strict=True))
    ]

    known = list(_known(optuna, SPACE, trials))

    assert [one.value for one in known] == [1.0, 3.0, 3.0, None]
    assert known[3].state == optuna.trial.TrialState.RUNNING
