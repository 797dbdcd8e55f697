"""collapse.constant_prediction: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "collapse.constant_prediction"

SPEAKS = {
    "one answer, in its fourth epoch": lived(
        flat(steps=300), answers=answers(answered={"2": 1.0}), running=True, epochs_seen=4
    ),
    "one answer": lived(flat(), answers=answers(answered={"2": 1.0})),
    "one answer a batch": lived(flat(1.0), answers=answers(alike=1.0, labels_alike=0.3, rows=32, chance=1.0)),
    "one number": lived(flat(1.0), answers=answers("numbers", reached=0.01, chance=1.0)),
}

SILENT = {
    "all classes": lived(answers=answers()),
    "nearly all labels are of one class": lived(
        answers=answers(answered={"0": 1.0}, label_shares={"0": 0.97, "1": 0.03})
    ),
    "batches of one label each": lived(flat(1.0), answers=answers(alike=1.0, labels_alike=1.0, rows=32, chance=1.0)),
    "one answer a batch, and it learns": lived(falling(), answers=answers(alike=1.0, labels_alike=0.3, rows=32)),
    "batches of few rows": lived(flat(1.0), answers=answers(alike=1.0, labels_alike=0.5, rows=2, chance=1.0)),
    "its first updates": lived(flat(steps=80), answers=answers(answered={"2": 1.0}), running=True),
    "its second epoch": lived(flat(steps=300), answers=answers(answered={"2": 1.0}), running=True, epochs_seen=2),
    "small outputs, and it learns": lived(falling(), answers=answers("numbers", reached=0.01)),
    "a short run": lived(flat(steps=30), answers=answers(answered={"2": 1.0})),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
