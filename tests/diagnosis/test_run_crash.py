"""run.crash: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "run.crash"

SPEAKS = {
    "an exception": lived(crash={"kind": "RuntimeError", "message": "expected scalar type Long but found Float"}),
}

SILENT = {
    "no exception": lived(),
    "stopped by hand": lived(crash={"kind": "KeyboardInterrupt", "message": ""}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
