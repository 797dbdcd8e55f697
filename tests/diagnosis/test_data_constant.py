"""data.constant: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, inputs, lived

FAULT = "data.constant"

SPEAKS = {
    "one target, known up to rounding": lived(
        answers=answers("numbers", target_low=0.7, target_high=0.7 + 2e-7, reckoned=True)
    ),
    "one target for all": lived(answers=answers(target_low=2.0, target_high=2.0, target_std=0.0, labels=1)),
    "inputs that never change": lived(inputs=inputs(constant=10)),
}

SILENT = {
    "targets of a small spread": lived(answers=answers("numbers", target_low=0.7, target_high=0.7 + 2e-7)),
    "as usual": lived(answers=answers(), inputs=inputs()),
    "dark corners": lived(inputs=inputs(kind="values", columns=64, constant=3)),
    "few rows": lived(answers=answers(target_low=2.0, target_high=2.0, values=40)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
