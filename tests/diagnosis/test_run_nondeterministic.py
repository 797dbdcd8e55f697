"""run.nondeterministic: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "run.nondeterministic"

SPEAKS = {
    "other outputs from the same seed": lived(restless=0.02),
}

SILENT = {
    "the same": lived(restless=0.0),
    "rounding": lived(restless=1e-6),
    "never asked": lived(),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
