"""data.poor_features: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, inputs, lived

FAULT = "data.poor_features"

SPEAKS = {
    "many useless columns": lived(
        falling(), val=flat(1.2, 8), answers=answers(), inputs=inputs(columns=200, linked_share=0.04)
    ),
}

SILENT = {
    "useful columns": lived(
        falling(), val=flat(1.2, 8), answers=answers(), inputs=inputs(columns=200, linked_share=0.5)
    ),
    "useless ones do no harm": lived(
        falling(), val=falling(steps=8), answers=answers(), inputs=inputs(columns=200, linked_share=0.04)
    ),
    "pictures": lived(
        falling(), val=flat(1.2, 8), answers=answers(), inputs=inputs(kind="values", columns=200, linked_share=0.04)
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
