"""loss.wrong_reduction: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, flat, gravity, lived

FAULT = "loss.wrong_reduction"

SPEAKS = {
    "a sum": lived(
        answers=answers(halves=2.0, halves_low=1.98, halves_high=2.02, scale=32.0, per_rows=True),
        settings={"name": "SGD"},
    ),
    "divided twice": lived(flat(0.17), answers=answers(scale=0.125, root=1.0, chance=0.17), settings={"name": "SGD"}),
}

SILENT = {
    "a mean": lived(answers=answers(), settings={"name": "SGD"}),
    "half a loss by taste": lived(answers=answers(scale=0.5, root=1.0), settings={"name": "SGD"}),
    "divided for the parts, as the loop reports it": lived(
        answers=answers(scale=0.25, root=1.0), backwards=800, settings={"name": "SGD"}
    ),
    "divided, under Adam, and it learns": lived(answers=answers(scale=0.125, root=1.0), settings={"name": "AdamW"}),
    "class weights": lived(
        answers=answers(form=None, scale=None, halves=1.03, halves_low=0.9, halves_high=1.1), settings={"name": "SGD"}
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
