"""output.wrong_width: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "output.wrong_width"

SPEAKS = {
    "ten outputs to a class": lived(answers=answers(width=40, values=80000)),
}

SILENT = {
    "one for each": lived(answers=answers()),
    "one to spare": lived(answers=answers(width=5, values=80000)),
    "a vocabulary with holes": lived(answers=answers(width=4000, labels=900, target_high=3990.0, values=4e7)),
    "embeddings, no classes": lived(answers=answers(form=None, loss="contrast", width=40, values=80000)),
    "too few rows to say": lived(answers=answers(width=40, values=400)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
