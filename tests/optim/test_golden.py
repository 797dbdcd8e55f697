"""Laws and steps of the room against numbers that do not come from it."""

import json
from pathlib import Path

import pytest

from tunesmith.blocks.optim.batch_laws import best_rate, noise_scale
from tunesmith.blocks.optim.scaling import scale_rate

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text(encoding="utf-8"))
RTOL = 1e-9


@pytest.mark.parametrize("case", GOLDEN["noise_scale"])
def test_noise_scale(case):
    found = noise_scale(case["norm_sq_small"], case["norm_sq_big"], case["b_small"], case["b_big"])

    assert (found.gradient, found.trace, found.value) == pytest.approx(case["estimated"], rel=RTOL)
    assert found.value == pytest.approx(case["B_simple"], rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["lr_scaling"])
@pytest.mark.parametrize("rule", ["linear", "sqrt"])
def test_rate_of_another_batch(case, rule):
    scaled = scale_rate(case["lr"], case["batch"], case["new_batch"], rule=rule)

    assert scaled.lr == pytest.approx(case[rule], rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["lr_at_batch_noise_model"])
def test_best_rate(case):
    assert best_rate(case["batch"], case["B_noise"], case["lr_max"]) == pytest.approx(case["lr"], rel=RTOL)
