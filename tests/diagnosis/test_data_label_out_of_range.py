"""data.label_out_of_range: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "data.label_out_of_range"

SPEAKS = {
    "a label beyond the outputs": lived(
        crash={"kind": "IndexError", "message": "Target 10 is out of bounds.", "labels": [0, 10], "width": 10}
    ),
    "a token beyond the table": lived(
        crash={"kind": "IndexError", "message": "index out of range in self", "indices": [0, 90], "tables": [80]}
    ),
    "the exception alone": lived(crash={"kind": "IndexError", "message": "Target -1 is out of bounds."}),
    "answers of both signs": lived(
        answers=answers("numbers", form="bce_with_logits", loss="BCEWithLogitsLoss", target_low=-1.0)
    ),
}

SILENT = {
    "no crash": lived(answers=answers()),
    "a crash of another kind": lived(crash={"kind": "RuntimeError", "message": "CUDA out of memory"}),
    "soft answers": lived(
        answers=answers("numbers", form="bce_with_logits", loss="BCEWithLogitsLoss", target_low=0.1, target_high=0.9)
    ),
    "a regression below zero": lived(answers=answers("numbers", target_low=-3.0)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
