"""optim.unregistered_params: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "optim.unregistered_params"

SPEAKS = {
    "never stepped": lived(updates=0, backwards=60, changed=False),
    "seldom stepped": lived(updates=4, windows=200),
    "outside the optimizer": lived(parts={"outside": {"names": ["a.weight"], "count": 1, "share": 0.3, "drawn": 1.0}}),
    "cut off by detach": lived(parts={"cut": {"names": ["a.weight"], "count": 1, "share": 0.3, "drawn": 1.0}}),
    "in a plain list": lived(
        parts={"unregistered": {"names": ["layers.0.weight"], "count": 1, "share": 0.3, "drawn": 1.0}}
    ),
}

SILENT = {
    "a body at a hundredth of the rate": lived(
        optimizers=[{"groups": [{"lr": 1e-5}, {"lr": 1e-3}]}],
        layers={"update_ratio": {"body": [1e-6] * 5, "head": [1e-2] * 5}},
    ),
    "all trained": lived(parts={}),
    "frozen on purpose": lived(parts={"frozen": {"names": ["body.weight"], "count": 1, "share": 0.9, "drawn": 1.0}}),
    "a trained body below a new head": lived(
        parts={"outside": {"names": ["body.weight"], "count": 1, "share": 0.9, "drawn": 0.0}}
    ),
    "frozen and trained before, in the optimizer": lived(
        parts={"frozen_held": {"names": ["body.weight"], "count": 1, "share": 0.9, "drawn": 0.0}}
    ),
    "a branch that never ran": lived(
        parts={"unused": {"names": ["aux.weight"], "count": 1, "share": 0.1, "drawn": 1.0}}
    ),
    "gathered from many parts": lived(updates=50, backwards=800, windows=50),
    "two players": lived(updates=100, windows=200),
    "a closure that runs backward many times": lived(updates=20, windows=200, closure=True),
    "stepped by another optimizer": lived(updates=0, backwards=60, changed=True),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")


def test_a_layer_that_crawls_at_the_rate_of_its_group_is_a_warning():
    history = lived(
        optimizers=[{"groups": [{"lr": 1e-8}, {"lr": 1e-3}]}],
        layers={"update_ratio": {"body": [1e-7] * 5, "head": [1e-2] * 5}},
    )

    assert gravity(FAULT, history) == "warning"
