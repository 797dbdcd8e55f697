"""data.no_signal: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, inputs, lived

FAULT = "data.no_signal"

SPEAKS = {
    "at chance, and no column goes with the targets": lived(
        flat(), val=flat(steps=8), answers=answers(), inputs=inputs(linked=3.0, linked_share=0.0)
    ),
    "learnt by heart": lived(
        falling(), val=flat(1.5, 8), answers=answers(), inputs=inputs(linked=3.0, linked_share=0.0)
    ),
}

SILENT = {
    "it learns": lived(falling(), val=falling(steps=8), answers=answers(), inputs=inputs()),
    "parity: no single column, and it learns": lived(
        falling(), val=falling(steps=8), answers=answers(), inputs=inputs(linked=3.0, linked_share=0.0)
    ),
    "at chance, for another reason": lived(flat(), val=flat(steps=8), answers=answers(), inputs=inputs()),
    "few rows": lived(flat(), val=flat(steps=8), answers=answers(), inputs=inputs(rows=100, linked=3.0)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")


def test_inputs_of_one_value_are_an_error():
    assert gravity(FAULT, lived(flat(), inputs=inputs(std=1e-3, low=0.5, high=0.51))) == "error"
