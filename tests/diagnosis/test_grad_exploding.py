"""grad.exploding: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, gravity, lived

FAULT = "grad.exploding"

SPEAKS = {
    "grew with the loss": lived(
        falling(1.0, 50.0), answers=answers(), layers={"grad_norm": {"": [1.0] * 4 + [1e4] * 6}}
    ),
}

SILENT = {
    "steady": lived(falling(), answers=answers(), layers={"grad_norm": {"": [1.0] * 10}}),
    "grew, and it learns": lived(falling(), answers=answers(), layers={"grad_norm": {"": [1.0] * 4 + [1e4] * 6}}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
