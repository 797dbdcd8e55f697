"""data.class_imbalance: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "data.class_imbalance"

SPEAKS = {
    "the rare class is never answered": lived(
        answers=answers(label_shares={"0": 0.95, "1": 0.05}, answered={"0": 1.0}, labels=2, width=2)
    ),
}

SILENT = {
    "at each place of a sequence": lived(
        batch_size=32,
        answers=answers(rows=1280, label_shares={"0": 0.95, "1": 0.05}, answered={"0": 1.0}, labels=2, width=2),
    ),
    "even": lived(answers=answers()),
    "rare, and answered": lived(
        answers=answers(label_shares={"0": 0.95, "1": 0.05}, answered={"0": 0.9, "1": 0.1}, labels=2, width=2)
    ),
    "a vocabulary": lived(
        answers=answers(label_shares={str(i): 0.5 if i == 0 else 0.004 for i in range(125)}, answered={"0": 1.0})
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
