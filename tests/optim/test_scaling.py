import math

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import build
from tunesmith.blocks.optim.scaling import rule_for, scale_rate
from tunesmith.records import Recipe, RecipeError, revise


def test_the_rule_goes_by_the_optimizer_and_is_told_in_one_line():
    assert scale_rate(0.1, 128, 512).line == "lr 0.1 -> 0.4 (linear, batch 128 -> 512, SGD: arXiv:1706.02677)"
    assert str(scale_rate(1e-3, 256, 64, "adamw")) == (
        "lr 0.001 -> 0.0005 (sqrt, batch 256 -> 64, AdamW: arXiv:2205.10287)"
    )
    assert scale_rate(1.0, 10, 100, "lbfgs").lr == 1.0
    assert scale_rate(1.0, 10, 100, "adam", rule="linear").lr == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("name", "extra", "rule"),
    [
        ("sgd", {}, "linear"),
        ("rmsprop", {}, "sqrt"),
        ("sam", {"base": "adamw"}, "sqrt"),
        ("sam", {}, "linear"),
        ("rprop", {}, "none"),
    ],
)
def test_a_live_optimizer_is_asked_by_its_class_and_a_wrapper_by_its_base(name, extra, rule):
    optimizer = build(revise(Recipe(), {"optim.name": name, "optim.extra": extra}), nn.Linear(2, 2), 0.1)

    assert rule_for(optimizer) == rule


def test_both_batches_are_cut_at_the_critical_one():
    assert scale_rate(0.1, 128, 8192, critical=1024).lr == pytest.approx(0.8)
    assert "capped at the critical batch 1024" in scale_rate(0.1, 128, 8192, critical=1024).line
    assert scale_rate(0.1, 4096, 8192, critical=1024).lr == 0.1
    assert scale_rate(0.1, 4096, 512, critical=1024).lr == pytest.approx(0.05)


def test_the_rule_of_the_sde_moves_betas_and_eps():
    scaled = scale_rate(1e-3, 64, 256, "adam", rule="adam_sde", betas=(0.9, 0.999), eps=1e-8)

    assert scaled.lr == pytest.approx(2e-3)
    assert scaled.betas == pytest.approx((0.6, 0.996))
    assert scaled.eps == pytest.approx(5e-9)
    with pytest.raises(RecipeError, match="cannot carry betas"):
        scale_rate(1e-3, 64, 1024, "adam", rule="adam_sde", betas=(0.9, 0.999), eps=1e-8)
    with pytest.raises(RecipeError, match="moves the betas"):
        scale_rate(1e-3, 64, 128, "adam", rule="adam_sde")


@pytest.mark.parametrize("about", [(0.0, 1, 2), (0.1, 0, 2), (0.1, 1, math.inf), (math.nan, 1, 2)])
def test_numbers_out_of_range_are_refused(about):
    with pytest.raises(RecipeError, match="a finite number above 0"):
        scale_rate(*about)


def test_the_square_root_keeps_the_spread_of_the_update_and_linear_the_drift_per_sample():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200_000, 4, generator=generator, dtype=torch.float64)  # the gradients of four samples a row

    one = noise[:, 0] * 0.1
    root, linear = scale_rate(0.1, 1, 4, rule="sqrt").lr, scale_rate(0.1, 1, 4).lr

    assert (noise.mean(dim=1) * root).std().item() == pytest.approx(one.std().item(), rel=0.01)
    assert linear / 4 == pytest.approx(0.1)
