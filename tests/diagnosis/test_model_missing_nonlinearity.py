"""model.missing_nonlinearity: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "model.missing_nonlinearity"

SPEAKS = {
    "two in a row": lived(chains=[{"first": "0", "second": "1", "sizes": [10, 32, 32]}], weighted=3),
}

SILENT = {
    "a product of low rank": lived(chains=[{"first": "a", "second": "b", "sizes": [64, 4, 64]}], weighted=4),
    "activations between": lived(chains=[], weighted=3),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")


def test_a_net_that_is_linear_as_a_whole_is_an_error():
    assert gravity(FAULT, lived(chains=[{"first": "0", "second": "1", "sizes": [10, 32, 1]}], weighted=2)) == "error"
