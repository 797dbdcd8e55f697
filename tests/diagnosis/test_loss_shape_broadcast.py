"""loss.shape_broadcast: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "loss.shape_broadcast"

SPEAKS = {
    "equal to that over all pairs": lived(answers=answers("numbers", form="mse", pairing="all with all")),
    "a square on every batch": lived(broadcast={"looks": 20, "of": 20, "rows": 32, "operation": "mul"}),
    "targets may change places": lived(answers=answers("numbers", form=None, pairing=None, blind=True, deaf=False)),
}

SILENT = {
    "row by row": lived(answers=answers("numbers")),
    "the target does not matter at all": lived(
        answers=answers("numbers", form=None, pairing=None, blind=True, deaf=True)
    ),
    "a square on a few batches": lived(broadcast={"looks": 4, "of": 20, "rows": 32, "operation": "sub"}),
    "nothing seen": lived(),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
