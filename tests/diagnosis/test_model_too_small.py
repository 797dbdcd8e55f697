"""model.too_small: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "model.too_small"

SPEAKS = {
    "one unit in the middle": lived(flat(1.0), answers=answers(), widths={"0": [10, 1], "2": [1, 4]}, weighted=2),
    "no hidden layer": lived(flat(1.0), answers=answers(), widths={"0": [10, 4]}, weighted=1),
}

SILENT = {
    "wide enough": lived(flat(1.0), answers=answers(), widths={"0": [10, 32], "2": [32, 4]}, weighted=2),
    "narrow, and it learns": lived(falling(), answers=answers(), widths={"0": [10, 2], "2": [2, 4]}, weighted=2),
    "linear, and it learns": lived(falling(), answers=answers(), widths={"0": [10, 4]}, weighted=1),
    "a head on other layers": lived(flat(1.0), answers=answers(), widths={"fc": [64, 4]}, weighted=5),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
