"""data.unscaled_targets: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "data.unscaled_targets"

SPEAKS = {
    "large, and not reached": lived(flat(1e6, noise=1e3), answers=answers("numbers", target_std=1000.0, chance=1e6)),
}

SILENT = {
    "of unit scale": lived(flat(1.0), answers=answers("numbers", chance=1.0)),
    "large, and reached": lived(falling(1e6, 1e4), answers=answers("numbers", target_std=1000.0, chance=1e6)),
    "classes": lived(flat(), answers=answers(target_std=40.0)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
