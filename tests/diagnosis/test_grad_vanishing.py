"""grad.vanishing: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "grad.vanishing"

SPEAKS = {
    "a millionth comes back, and the first layer lags behind": lived(
        falling(),
        answers=answers(),
        layers={
            "gradient_std": {"0": [1e-9] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5},
            "update_ratio": {"0": [1e-5] * 5, "2": [1e-2] * 5, "4": [1e-2] * 5},
        },
    ),
    "nothing comes back, and nothing is learnt": lived(
        flat(), answers=answers(), layers={"gradient_std": {"0": [1e-7] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}}
    ),
}

SILENT = {
    "it comes back": lived(
        flat(), answers=answers(), layers={"gradient_std": {"0": [1e-2] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}}
    ),
    "little comes back, and it learns": lived(
        falling(), answers=answers(), layers={"gradient_std": {"0": [1e-7] * 5, "2": [1e-2] * 5, "4": [1e-1] * 5}}
    ),
    "two layers": lived(flat(), answers=answers(), layers={"gradient_std": {"0": [1e-7] * 5, "2": [1e-1] * 5}}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
