"""optim.bad_hyperparameters: where it speaks, and where it is silent."""

import numpy as np
import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "optim.bad_hyperparameters"

SPEAKS = {
    "signs of parts": lived(answers=answers(), settings={"name": "Rprop", "lr": 0.01}, steps_per_epoch=20),
    "an average that still holds the start": lived(
        answers=answers(), settings={"name": "Adam"}, val=np.linspace(1.41, 1.2, 12)
    ),
    "epsilon": lived(
        flat(),
        answers=answers(),
        settings={"name": "Adam", "eps": 1.0, "betas": [0.9, 0.999]},
        layers={"adam_eps_share": {"": [1.0] * 5}},
    ),
    "momentum that overshoots": lived(
        list(falling(steps=100)) + list(falling(0.1, 2.0, 100)),
        answers=answers(),
        settings={"name": "SGD", "momentum": 0.999},
    ),
    "betas exchanged": lived(flat(), answers=answers(), settings={"name": "Adam", "eps": 1e-8, "betas": [0.999, 0.9]}),
}

SILENT = {
    "signs of all rows": lived(answers=answers(), settings={"name": "Rprop", "lr": 0.01}, steps_per_epoch=1),
    "a held loss that follows": lived(answers=answers(), settings={"name": "Adam"}, val=falling(steps=12, noise=0.0)),
    "a held loss that creeps with noise": lived(
        answers=answers(),
        settings={"name": "Adam"},
        val=np.linspace(1.41, 1.2, 12) + 0.01 * np.cos(np.arange(12)),
    ),
    "defaults": lived(
        flat(),
        answers=answers(),
        settings={"name": "Adam", "eps": 1e-8, "betas": [0.9, 0.999]},
        layers={"adam_eps_share": {"": [0.0] * 5}},
    ),
    "a long momentum, and it learns": lived(falling(), answers=answers(), settings={"name": "SGD", "momentum": 0.99}),
    "a larger epsilon, and it learns": lived(
        falling(),
        answers=answers(),
        settings={"name": "Adam", "eps": 1e-3, "betas": [0.9, 0.999]},
        layers={"adam_eps_share": {"": [0.7] * 5}},
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
