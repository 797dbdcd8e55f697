"""model.batch_leak: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "model.batch_leak"

SPEAKS = {
    "rows that depend on each other": lived(coupling=0.2),
    "a softmax along the batch": lived(coupling=None, answers=answers(column_sum_gap=1e-6, row_sum_gap=3.0)),
}

SILENT = {
    "rows alone": lived(coupling=1e-7, answers=answers()),
    "never asked": lived(answers=answers()),
    "probabilities along the classes": lived(answers=answers(column_sum_gap=3.0, row_sum_gap=1e-6)),
    "norms without statistics": lived(
        coupling=0.2, norms={"1": {"keeps": False, "momentum": 0.1, "updates": 200, "per_channel": 32}}
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
