"""data.unscaled_inputs: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, inputs, lived

FAULT = "data.unscaled_inputs"

SPEAKS = {
    "columns of many sizes, and a start at twice chance": lived(
        falling(3.5, 0.2), answers=answers(), inputs=inputs(spread_ratio=900.0)
    ),
    "large columns, and a loud start": lived(
        falling(30.0, 0.4), answers=answers(), inputs=inputs(std_high=70.0, std=70.0, mean=30.0)
    ),
}

SILENT = {
    "standardised": lived(flat(), answers=answers(), inputs=inputs()),
    "large, met by a norm": lived(flat(), answers=answers(), inputs=inputs(std_high=300.0), begins="BatchNorm1d"),
    "large, and it learns at once": lived(falling(), answers=answers(), inputs=inputs(std_high=15.0)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")


def test_large_inputs_that_the_net_does_not_learn_from_are_an_error():
    assert gravity(FAULT, lived(flat(), answers=answers(), inputs=inputs(std_high=70.0, std=70.0))) == "error"
