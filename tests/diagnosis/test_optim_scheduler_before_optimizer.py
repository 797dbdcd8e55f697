"""optim.scheduler_before_optimizer: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "optim.scheduler_before_optimizer"

SPEAKS = {
    "the first rate was skipped": lived(rate_given=0.1, rate_first=0.05),
}

SILENT = {
    "the first rate was used": lived(rate_given=0.1, rate_first=0.1),
    "no scheduler": lived(),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
