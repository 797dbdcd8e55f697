"""model.lookahead: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "model.lookahead"


def ahead(**told):
    return {"steps": 1, "share": 1.0, "whole": True, "length": 16, "change": 0.0, "bound": 3e-4, "back": 1} | told


SPEAKS = {
    "the next word is seen": lived(ahead=ahead(change=0.4)),
    "five steps on are seen": lived(ahead=ahead(steps=5, change=0.01, back=3)),
    "targets not shifted": lived(ahead=ahead(steps=0, own=0.5)),
}

SILENT = {
    "never asked": lived(answers=answers()),
    "a mask": lived(ahead=ahead(change=1e-6)),
    "an autoencoder": lived(ahead=ahead(steps=0, change=0.4, own=0.5)),
    "outputs that do not move at all": lived(ahead=ahead(steps=0, own=0.0)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) == ""
