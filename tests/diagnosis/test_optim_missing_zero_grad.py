"""optim.missing_zero_grad: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "optim.missing_zero_grad"

SPEAKS = {
    "gradients of the update before are kept": lived(kept=10, kept_of=10),
    "cleared between backward and step": lived(emptied=10, emptied_of=10),
}

SILENT = {
    "cleared every time": lived(kept=0, kept_of=10, emptied=0, emptied_of=10),
    "once, where a loop begins": lived(kept=1, kept_of=10, emptied=1, emptied_of=10),
    "looked at too seldom": lived(kept=2, kept_of=2),
    "never looked at": lived(),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
