"""act.dead_relu: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "act.dead_relu"

SPEAKS = {
    "dead, and at chance": lived(flat(), answers=answers(), layers={"dead_fraction": {"1": [0.95] * 10}}),
}

SILENT = {
    "alive": lived(flat(), answers=answers(), layers={"dead_fraction": {"1": [0.05] * 10}}),
    "dead, and it learns": lived(falling(), answers=answers(), layers={"dead_fraction": {"1": [0.6] * 10}}),
    "dead on the first batches alone": lived(
        flat(), answers=answers(), layers={"dead_fraction": {"1": [0.9, 0.9] + [0.1] * 8}}
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
