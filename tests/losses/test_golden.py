"""Log loss, its baseline and its start against the golden numbers, and the slips that guides make with them."""

import json
import math
from pathlib import Path

import pytest
import torch

from tunesmith.blocks.losses import build

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text())
RTOL = GOLDEN["rtol"]
F64 = torch.float64


def answers(share, rows=1000):
    return (torch.arange(rows) < round(share * rows)).long()


def logit(chances):
    chances = torch.tensor(chances, dtype=F64)
    return chances.log() - (1 - chances).log()


@pytest.mark.parametrize(("share", "entropy"), GOLDEN["binary_entropy_table_of_the_seed"]["rows"])
def test_the_table_that_guides_call_log_loss_is_that_of_a_constant_forecast_at_the_base_rate(share, entropy):
    target = answers(share)

    for name in ("binary_cross_entropy", "cross_entropy"):
        loss = build(name, kind="binary")
        assert loss.at_start(target, bias="data") == pytest.approx(entropy, rel=RTOL)
        assert loss.no_skill(target) == pytest.approx(entropy, rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["log_loss"])
def test_log_loss_of_chances(case):
    loss = build("binary_cross_entropy", kind="binary")

    value = loss(logit(case["p"]), torch.tensor(case["y"])).value

    assert value.item() == pytest.approx(case["value"], rel=RTOL)


@pytest.mark.parametrize(("share", "value"), GOLDEN["no_skill_log_loss"])
def test_the_baseline_is_the_entropy_of_the_base_rate_and_not_ln_2(share, value):
    target, zero = answers(share), torch.zeros(1000, dtype=F64)
    loss = build("binary_cross_entropy", kind="binary")

    assert loss.no_skill(target) == pytest.approx(value, rel=RTOL)
    assert loss.at_start(target) == pytest.approx(math.log(2), rel=RTOL)
    assert loss.skill(zero, target) == pytest.approx(math.log(2) / value, rel=RTOL)  # 1 at one half, above it elsewhere


@pytest.mark.parametrize(("classes", "value"), GOLDEN["initial_softmax_loss"])
def test_zero_outputs_give_ln_c_on_any_data(classes, value):
    loss = build("cross_entropy", kind="multiclass")

    for target in (torch.zeros(7, dtype=torch.int64), torch.arange(50) % classes):
        assert loss.at_start(target, outputs=classes) == pytest.approx(value, rel=RTOL)
        assert loss(torch.zeros(len(target), classes, dtype=F64), target).value.item() == pytest.approx(value, rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["prior_bias"])
def test_the_bias_of_the_data_is_the_log_odds(case):
    target = torch.tensor([1] * case["pos"] + [0] * case["neg"])
    loss = build("binary_cross_entropy", kind="binary")

    usual = loss.start.usual(*loss.start.cases(target, None), None)

    assert usual.item() == pytest.approx(case["bias_log_odds"], rel=RTOL, abs=1e-15)
    assert usual.sigmoid().item() == pytest.approx(case["p"], rel=RTOL)
    assert loss.at_start(target, bias="data") == pytest.approx(case["initial_log_loss"], rel=RTOL)


def test_one_to_ten_is_not_one_tenth():
    target = torch.tensor([1] + [0] * 10)
    loss = build("binary_cross_entropy", kind="binary")

    right, rounded = (loss.at_start(target, bias=logit(share)) for share in (1 / 11, 0.1))

    assert right == pytest.approx(loss.no_skill(target), rel=1e-12)
    assert rounded > right


def test_the_loss_has_no_upper_bound():
    loss = build("binary_cross_entropy", kind="binary")

    assert loss(torch.tensor([-1e4]), torch.tensor([1.0])).value.item() == 1e4
