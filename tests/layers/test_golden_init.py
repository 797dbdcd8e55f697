"""Initialisers, gains and output biases against golden numbers; see tests/golden/README.md."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tunesmith.blocks.layers import INITS, gain, output_bias_from, set_output_bias
from tunesmith.blocks.layers.init import DEVIATIONS, fans
from tunesmith.blocks.layers.init.draws import UNIT_CUT_AT_TWO

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text())
RTOL = GOLDEN["rtol"]
LAWS = {  # the name in the file: the member, and the arguments that make it that law
    "xavier_normal_std": ("xavier_normal", {}),
    "xavier_normal_std_tanh_gain": ("xavier_normal", {"gain": gain("tanh")}),
    "he_normal_std_fan_in_relu": ("he_normal", {}),
    "he_normal_std_fan_out_relu": ("he_normal", {"mode": "fan_out"}),
    "he_normal_std_leaky_0.2": ("he_normal", {"activation": "leaky_relu(0.2)"}),
    "lecun_normal_std": ("lecun_normal", {}),
}
BOUNDS = {
    "xavier_uniform_bound": "xavier_uniform",
    "he_uniform_bound_fan_in_relu": "he_uniform",
    "torch_linear_default_bound": "default",
}


@pytest.mark.parametrize("case", GOLDEN["inits"], ids=lambda case: str(case["shape"]))
def test_fans_and_deviations(case):
    weight = torch.empty(case["shape"], device="meta")

    found = {key: DEVIATIONS[name](weight, **given) for key, (name, given) in LAWS.items()}

    assert fans(weight) == (case["fan_in"], case["fan_out"])
    assert found == pytest.approx({key: case[key] for key in LAWS}, rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["inits"], ids=lambda case: str(case["shape"]))
@pytest.mark.parametrize("key", BOUNDS)
def test_uniform_weights_reach_the_bound_and_no_further(case, key):
    weight = torch.empty(case["shape"], dtype=torch.float64)

    INITS[BOUNDS[key]](weight, generator=torch.Generator().manual_seed(0))

    count = weight.numel()
    assert weight.abs().max().item() <= case[key] * (1 + RTOL)
    # the largest of n uniform draws misses the bound by 1/(n + 1) on average, and by 20 times that once in e^20
    assert weight.abs().max().item() >= case[key] * (1 - 20 / count)
    assert math.sqrt(3) * DEVIATIONS[BOUNDS[key]](weight) == pytest.approx(case[key], rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["inits"], ids=lambda case: str(case["shape"]))
@pytest.mark.parametrize("key", LAWS)
def test_drawn_weights_have_the_deviation(case, key):
    name, given = LAWS[key]
    weight = torch.empty(case["shape"], dtype=torch.float64)

    INITS[name](weight, generator=torch.Generator().manual_seed(1), **given)

    five_errors = 5 / math.sqrt(2 * weight.numel())  # of a normal's sample deviation
    assert weight.std().item() == pytest.approx(case[key], rel=five_errors)


def test_gains():
    named = {
        "leaky_relu_0.01": gain("leaky_relu"),
        "leaky_relu_0.2": gain("leaky_relu(0.2)"),
        **{name: gain(name) for name in ("linear", "sigmoid", "tanh", "relu", "selu")},
    }

    assert named == pytest.approx(GOLDEN["gains"], rel=RTOL)


def test_truncation_factor():
    golden = GOLDEN["truncated_normal"]["std_of_unit_normal_cut_at_2"]

    assert pytest.approx(golden, rel=RTOL) == UNIT_CUT_AT_TWO
    # the note of the file: torch's absolute bounds cut nothing, a cut at two deviations takes the factor
    weight = torch.empty(2)
    assert DEVIATIONS["truncated_normal_torch"](weight) == pytest.approx(0.02, rel=RTOL)
    assert DEVIATIONS["truncated_normal_torch"](weight, std=1.0) == pytest.approx(golden, rel=RTOL)
    assert DEVIATIONS["normal"](weight) == pytest.approx(0.02 * golden, rel=RTOL)
    assert DEVIATIONS["truncated_normal"](weight) == pytest.approx(0.02, rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["prior_bias"], ids=lambda case: f"{case['pos']}:{case['neg']}")
def test_log_odds_and_the_first_loss_under_them(case):
    labels = torch.tensor([1] * case["pos"] + [0] * case["neg"])
    model = nn.Linear(3, 1).double()

    bias = output_bias_from(labels, "binary")
    set_output_bias(model, labels, kind="binary", weights="zero")

    loss = F.binary_cross_entropy_with_logits(model(torch.randn(len(labels), 3).double())[:, 0], labels.double())
    assert bias.item() == pytest.approx(case["bias_log_odds"], rel=RTOL, abs=1e-15)
    assert torch.sigmoid(bias).item() == pytest.approx(case["p"], rel=RTOL)
    assert loss.item() == pytest.approx(case["initial_log_loss"], rel=RTOL)


@pytest.mark.parametrize(("classes", "expected"), GOLDEN["initial_softmax_loss"])
def test_equal_classes_start_at_the_logarithm_of_their_number(classes, expected):
    labels = torch.arange(classes)
    model = nn.Linear(2, classes).double()

    set_output_bias(model, labels, kind="multiclass", weights="zero")

    loss = F.cross_entropy(model(torch.randn(classes, 2).double()), labels)
    assert loss.item() == pytest.approx(expected, rel=RTOL)
