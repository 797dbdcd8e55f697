"""act.unsuitable: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "act.unsuitable"

SPEAKS = {
    "five sigmoids": lived(
        flat(),
        answers=answers(),
        activations={str(i): "Sigmoid" for i in range(5)},
        gains={"0.weight": 0.6},
        layers={"gradient_std": {"0": [1e-5] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}},
    ),
    "twenty plain ReLUs": lived(
        flat(),
        answers=answers(),
        activations={str(i): "ReLU" for i in range(20)},
        gains={"0.weight": 0.6},
        layers={"gradient_std": {"0": [1e-7] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}},
    ),
}

SILENT = {
    "two tanhs": lived(
        flat(),
        answers=answers(),
        activations={str(i): "Tanh" for i in range(2)},
        gains={"0.weight": 0.6},
        layers={"gradient_std": {"0": [1e-5] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}},
    ),
    "five, and it learns": lived(
        falling(),
        answers=answers(),
        activations={str(i): "Tanh" for i in range(5)},
        gains={"0.weight": 0.6},
        layers={"gradient_std": {"0": [1e-5] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}},
    ),
    "five, and gradients come through": lived(
        flat(),
        answers=answers(),
        activations={str(i): "Tanh" for i in range(5)},
        gains={"0.weight": 0.6},
        layers={"gradient_std": {"0": [3e-2] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}},
    ),
    "with norms between": lived(
        flat(),
        answers=answers(),
        activations={str(i): "Tanh" for i in range(5)},
        gains={"0.weight": 0.6},
        layers={"gradient_std": {"0": [3e-2] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}},
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
