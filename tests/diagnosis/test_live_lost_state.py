"""optim.lost_state in watched runs: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, gravity, lived

FAULT = "optim.lost_state"


def moments(**told):
    return {"empty": True, "remembers": True, "loaded": False, "resumed": 0} | told


def successors(**told):
    return {"made": 3, "others": 1, "first": 0, "remembers": True, "name": "Adam"} | told


SPEAKS = {
    "made for every epoch": lived(successors=successors()),
    "cleared": lived(moments=moments(lost=100, lost_at=120)),
    "resumed, and empty": lived(moments=moments(resumed=500)),
    "loaded weights that solve the task": lived(falling(0.3, 0.1), moments=moments(loaded=True), answers=answers()),
}

SILENT = {
    "a fresh start": lived(moments=moments(), answers=answers()),
    "a second stage": lived(successors=successors(made=1)),
    "optimizers without a memory": lived(successors=successors(remembers=False)),
    "stages over more and more weights": lived(successors=successors(made=0, others=4)),
    "resumed whole": lived(moments=moments(empty=False, resumed=500, loaded=True)),
    "resumed without a memory to lose": lived(moments=moments(remembers=False, resumed=500)),
    "loaded for another task": lived(moments=moments(loaded=True), answers=answers()),
    "low from the start, not loaded here": lived(falling(0.3, 0.1), moments=moments(), answers=answers()),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) == ""
