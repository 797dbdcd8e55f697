"""reg.too_strong: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import CHANCE, answers, falling, flat, gravity, lived

FAULT = "reg.too_strong"

NOISED = {"signs": 1600, "kept": 0.52, "turned": 0.05}

SPEAKS = {
    "noise that drowns the gradient": lived(flat(), answers=answers(), pull=NOISED),
    "much of it, in a run that learns": lived(answers=answers(), pull=NOISED),
    "a penalty in the loss, which falls with the weights": lived(
        falling(20.0, 4.0),
        val=flat(CHANCE, 8, 1e-4),
        answers=answers(chance=None),
        gains={"0.weight": 0.6},
        gains_now={"0.weight": 0.02},
    ),
    "weights shrink, and nothing is learnt": lived(
        flat(), answers=answers(), gains={"0.weight": 0.6}, gains_now={"0.weight": 0.05}, settings={"name": "SGD"}
    ),
    "the decay outweighs the data": lived(
        flat(),
        answers=answers(),
        gains={"0.weight": 0.6},
        gains_now={"0.weight": 0.3},
        settings={"name": "Adam", "weight_decay": 1.0, "lr": 1e-3},
        layers={"weight_norm": {"0": [2.0] * 9}, "grad_norm": {"0": [0.1] * 9}},
    ),
    "much dropout": lived(flat(1.2), val=flat(1.0, 8), answers=answers(), dropout=0.9),
}

SILENT = {
    "noise as large as the gradient, in a run that learns": lived(
        answers=answers(), pull={"signs": 1600, "kept": 0.74, "turned": 0.45}
    ),
    "clipped gradients": lived(flat(), answers=answers(), pull={"signs": 1600, "kept": 1.0, "turned": 0.8}),
    "a closure, run several times an update": lived(flat(), answers=answers(), pull=NOISED, closure=True),
    "few signs": lived(flat(), answers=answers(), pull=NOISED | {"signs": 20}),
    "as usual": lived(
        answers=answers(),
        gains={"0.weight": 0.6},
        gains_now={"0.weight": 0.8},
        settings={"name": "AdamW", "weight_decay": 0.01, "lr": 1e-3},
    ),
    "weights shrink before a norm, and it learns": lived(
        falling(),
        answers=answers(),
        gains={"0.weight": 0.6},
        gains_now={"0.weight": 0.1},
        settings={"name": "SGD", "weight_decay": 5e-4, "lr": 0.1},
    ),
    "poor, for another reason": lived(
        flat(),
        answers=answers(),
        gains={"0.weight": 0.6},
        gains_now={"0.weight": 0.61},
        settings={"name": "SGD", "weight_decay": 1e-4, "lr": 0.1},
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
