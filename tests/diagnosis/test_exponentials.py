"""numerics.unsafe_op, of exponentials in a loss: where it speaks, and where it is silent."""

import numpy as np
import pytest

from tests.diagnosis.lived import falling, flat, gravity, lived

FAULT = "numerics.unsafe_op"
WIDE = {"widest": 20.0, "precise": 15.9, "looks": 30}
RISING = 10 + 16 * np.linspace(0, 1, 200) + 0.3 * np.random.default_rng(0).standard_normal(200)

SPEAKS = {"a loss that rises": lived(RISING, exponential=WIDE)}
SILENT = {
    "a loss that falls": lived(falling(), exponential=WIDE),
    "a loss that stands": lived(flat(), exponential=WIDE),
    "a spread of a few units": lived(RISING, exponential=WIDE | {"widest": 6.0}),
    "met once": lived(RISING, exponential=WIDE | {"looks": 1}),
    "no exponential": lived(RISING),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) == ""
