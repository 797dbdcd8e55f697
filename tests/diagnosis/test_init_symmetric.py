"""init.symmetric: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "init.symmetric"

SPEAKS = {
    "alike before and after": lived(alike={"0.weight": True}),
}

SILENT = {
    "woken by what follows": lived(alike={"2.weight": False}),
    "never trained": lived(
        alike={"0.weight": True}, parts={"frozen": {"names": ["0.weight"], "count": 1, "share": 0.1, "drawn": None}}
    ),
    "too early to say": lived(alike={"0.weight": True}, made=3),
    "drawn at random": lived(),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
