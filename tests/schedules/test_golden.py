"""The schedules against rates that other libraries gave, or formulas written from their source: every case of the file."""

import json
from pathlib import Path

import numpy as np
import pytest

from tunesmith.blocks.schedules import (
    SCHEDULES,
    WARMUPS,
    Judged,
    build,
    factor_at,
    join,
    linear_warmup,
    momentum_of,
    rates,
)
from tunesmith.records import Recipe, revise

GOLDEN = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "golden" / "schedules.json").read_text())["cases"]
}


def made(name, steps=1000, **settings):
    return SCHEDULES[name](steps, **settings)


def after(kind, warmup, schedule, how="after", **settings):
    return join(WARMUPS[kind](warmup, **settings), schedule, warmup, how)


def wsd(shape):
    return after("linear", 10, made("wsd", 90, decay=20, floor=0.1, shape=shape), start=0.1)


ROWS = {  # id: (the rate of factor 1, the schedule)
    "tf_piecewise": (1.0, made("piecewise", boundaries=[10, 20], values=[1.0, 0.5, 0.1], peak=1.0)),
    "left_closed_piecewise": (
        1.0,
        made("manual_stepping", boundaries=[2, 3, 7], rates=[1.0, 2.0, 3.0, 4.0], peak=1.0),
    ),
    "tf_exponential": (0.1, made("exponential", gamma=0.96, every=100)),
    "tf_exponential_staircase": (0.1, made("exponential", gamma=0.96, every=100, staircase=True)),
    "tf_natural_exp": (0.1, made("natural_exponential", rate=0.5, every=100)),
    "tf_natural_exp_staircase": (0.1, made("natural_exponential", rate=0.5, every=100, staircase=True)),
    "tf_inverse_time": (0.1, made("inverse_time", rate=0.5, every=1)),
    "tf_inverse_time_staircase": (0.1, made("inverse_time", rate=0.5, every=10, staircase=True)),
    "tf_polynomial_sqrt": (0.1, made("polynomial", 1000, power=0.5, floor=0.1)),
    "tf_polynomial_cycle": (0.1, made("polynomial", 100, power=1.0, floor=0.01, cycle=True)),
    "tf_cosine": (0.1, made("cosine", 1000)),
    "tf_cosine_alpha": (0.1, made("cosine", 1000, floor=0.1)),
    "tf_linear_cosine": (0.1, made("linear_cosine", 1000)),
    "tf_linear_cosine_periods": (0.1, made("linear_cosine", 1000, periods=2.0, alpha=0.05, beta=0.01)),
    "tf_noisy_linear_cosine_zero_noise": (0.1, made("noisy_linear_cosine", 1000, variance=0.0)),
    "tf_cosine_restarts_t2": (0.1, made("cosine_restarts", first=100)),
    "tf_cosine_restarts_t1_m09": (0.1, made("cosine_restarts", first=100, t_mul=1.0, m_mul=0.9, floor=0.1)),
    "objdet_burnin_2017": (1.0, made("exponential_burnin_2017", burnin=2, start=0.5, every=3)),
    "objdet_burnin_2018": (1.0, made("exponential_burnin", burnin=2, start=0.5, every=3, floor=0.05)),
    "objdet_cosine_warmup": (1.0, after("linear", 9, made("cosine_hold", 91, hold=0), start=0.1)),
    "objdet_cosine_warmup_hold": (1.0, after("linear", 9, made("cosine_hold", 111, hold=20), start=0.1)),
    "objdet_manual_stepping_warmup": (
        1.0,
        made("manual_stepping", boundaries=[4, 6, 8], rates=[0.02, 0.1, 0.01, 0.001], ramp=True, peak=1.0),
    ),
    "constant_warmup": (0.1, after("constant", 400, made("constant"))),
    "gradual_warmup": (0.1, after("linear", 2500, made("constant"), start=0.0)),
    "gradual_warmup_from_base": (3.2, after("linear", 5, made("constant"), start=0.1 / 3.2)),
    "warmup_multistep_linear": (
        0.001,
        after("linear", 1000, made("multi_step", milestones=[300, 400]), "product", start=0.001),
    ),
    "warmup_multistep_constant": (
        0.02,
        after("constant", 50, made("multi_step", milestones=[60, 80]), "product", start=1 / 3),
    ),
    "warmup_cosine_product": (0.02, after("linear", 100, made("cosine", 1000), "product", start=0.001)),
    "warmup_cosine_composite": (0.02, after("linear", 100, made("cosine", 1000), "composite", start=0.001)),
    "poly09_warmup": (0.1, after("linear", 10, made("polynomial", 190), start=0.001)),
    "inverse_sqrt": (0.001, after("linear", 100, made("inverse_sqrt", timescale=100), start=0.0)),
    "noam": (1.0, made("noam", width=512, warmup=4000, peak=1.0)),
    "wsd_cosine": (0.01, wsd("cosine")),
    "wsd_linear": (0.01, wsd("linear")),
    "wsd_1-sqrt": (0.01, wsd("1-sqrt")),
    "wsd_minicpm": (0.01, after("linear", 100, made("wsd_minicpm", stable_end=8900, half_life=500), start=0.0)),
    "timm_cosine": (0.1, after("linear", 5, made("timm_cosine", 100, floor=1e-4), "over", start=1e-3)),
    "timm_cosine_prefix_cycles": (
        0.1,
        after(
            "linear",
            5,
            made("timm_cosine", 50, floor=1e-4, cycle_mul=2.0, cycle_decay=0.5, cycle_limit=2),
            start=1e-3,
        ),
    ),
    "torch_step": (0.5, made("step", every=2)),
    "torch_multistep_seed": (0.1, made("multi_step", milestones=[200, 300, 320, 340, 200], gamma=0.8)),
    "torch_exponential": (0.1, made("exponential", gamma=0.98)),
    "torch_cosine_annealing": (0.1, made("cosine_annealing", 150)),
    "torch_cosine_annealing_eta": (0.1, made("cosine_annealing", 10, floor=0.1)),
    "torch_cosine_warm_restarts": (0.1, made("cosine_restarts", first=10, floor=0.01)),
    "torch_cyclic_triangular": (0.1, made("cyclic", base=0.001, top=0.1, up=10, peak=0.1)),
    "torch_cyclic_triangular2": (
        0.1,
        made("cyclic", base=0.001, top=0.1, up=5, down=15, mode="triangular2", peak=0.1),
    ),
    "torch_cyclic_exp_range": (
        0.1,
        made("cyclic", base=0.001, top=0.1, up=10, mode="exp_range", gamma=0.99, peak=0.1),
    ),
    "torch_one_cycle_cos": (0.1, made("one_cycle", 100)),
    "torch_one_cycle_linear": (0.1, made("one_cycle", 100, shape="linear", rise=0.45, start=10.0, end=100.0)),
    "torch_one_cycle_three_phase": (0.1, made("one_cycle", 100, three_phase=True)),
    "torch_polynomial": (0.1, made("polynomial", 20)),
    "torch_linear": (0.1, made("linear", 8, start=0.1, floor=1.0)),
    "torch_constant": (0.1, made("constant", start=0.1, span=4)),
    "torch_sequential_warmup_cosine": (0.1, after("linear", 10, made("cosine", 90), start=0.01)),
}
PLATEAUS = {
    "torch_plateau_basic": {"factor": 0.5, "patience": 2},
    "torch_plateau_cooldown_minlr": {"patience": 1, "cooldown": 2, "floor": 0.01},
    "torch_plateau_max_abs": {
        "mode": "max",
        "factor": 0.5,
        "patience": 2,
        "threshold": 0.01,
        "threshold_mode": "abs",
    },
}
NOISE = "tf_noisy_linear_cosine_std"


def test_every_case_of_the_file_has_a_row():
    assert {*ROWS, *PLATEAUS, NOISE} == set(GOLDEN)
    assert len(GOLDEN) == 58


@pytest.mark.parametrize("case", ROWS)
def test_a_curve_of_another_library_is_met(case):
    peak, schedule = ROWS[case]
    golden = GOLDEN[case]

    together = peak * rates(schedule, golden["steps"])
    one_by_one = [peak * schedule(step) for step in golden["steps"]]

    for ours in (together, one_by_one):
        np.testing.assert_allclose(ours, golden["lr"], rtol=golden["rtol"], atol=golden["atol"])


@pytest.mark.parametrize("case", [name for name, golden in GOLDEN.items() if "momentum" in golden])
def test_the_momentum_is_cycled_as_torch_does(case):
    golden = GOLDEN[case]
    momentum = momentum_of(ROWS[case][1])

    np.testing.assert_allclose(rates(momentum, golden["steps"]), golden["momentum"], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("case", PLATEAUS)
def test_a_plateau_drops_when_torch_does(case):
    golden = GOLDEN[case]
    history = [Judged(10 * (n + 1), value) for n, value in enumerate(golden["metrics"])]
    schedule = made("plateau", **PLATEAUS[case])

    ours = [0.1 * factor_at(schedule, entry.step, history) for entry in history]

    np.testing.assert_allclose(ours, golden["lr_after_metric"], rtol=golden["rtol"], atol=golden["atol"])


def test_the_noise_falls_as_in_its_source():
    golden = GOLDEN[NOISE]
    steps = np.array(golden["steps"])
    whole = (1 + np.cos(2 * np.pi * np.minimum(steps, 1000) / 1000)) / 2  # periods=1: not 0 at the end

    def noise(seed, fading):
        common = {"periods": 1.0, "beta": 100.0}  # so high that nothing is cut off at 0
        calm = rates(made("linear_cosine", 1000, **common), steps)
        noisy = rates(made("noisy_linear_cosine", 1000, variance_decay=fading, seed=seed, **common), steps)
        return (noisy - calm) / whole

    exact = noise(3, 0.55) / noise(3, 0.0)
    drawn = np.array([noise(seed, 0.55) for seed in range(1500)])

    np.testing.assert_allclose(exact, golden["std"], rtol=1e-9)
    np.testing.assert_allclose(drawn.std(axis=0), golden["std"], rtol=5 / np.sqrt(2 * 1500))
    np.testing.assert_allclose(drawn.mean(axis=0) / golden["std"], 0, atol=5 / np.sqrt(1500))


def test_the_warm_up_is_one_update_ahead_of_the_one_that_starts_at_nothing():
    golden = GOLDEN["gradual_warmup"]
    before = dict(zip(golden["steps"], golden["lr"], strict=True))

    ours = 0.1 * rates(linear_warmup(2500), [0, 1249, 2498])

    np.testing.assert_allclose(ours, [before[1], before[1250], before[2499]], rtol=1e-12)


def test_a_recipe_makes_the_same_curve():
    golden = GOLDEN["inverse_sqrt"]
    recipe = revise(Recipe(), {"schedule.name": "inverse_sqrt"})

    ours = 0.001 * rates(build(recipe.schedule, 20_000, 100), [100, 101, 400, 10_000])

    np.testing.assert_allclose(ours, golden["lr"][3:], rtol=1e-9)


RECIPES = {  # id: (updates of the run, of the warm-up, recipe)
    "warmup_cosine_product": (1000, 100, {"warmup_join": "product", "warmup_start": 0.001}),
    "warmup_cosine_composite": (1000, 100, {"warmup_join": "composite", "warmup_start": 0.001}),
    "timm_cosine": (100, 5, {"name": "timm_cosine", "floor": 1e-4, "warmup_join": "over", "warmup_start": 1e-3}),
    "wsd_linear": (
        100,
        10,
        {"name": "wsd", "floor": 0.1, "warmup_start": 0.1, "extra": {"decay": 20, "shape": "linear"}},
    ),
    "constant_warmup": (10_000, 400, {"name": "constant", "warmup_kind": "constant"}),
    "warmup_multistep_constant": (
        100,
        50,
        {
            "name": "multi_step",
            "warmup_kind": "constant",
            "warmup_start": 1 / 3,
            "warmup_join": "product",
            "extra": {"milestones": [60, 80]},
        },
    ),
    "noam": (100_000, 4000, {"name": "noam", "extra": {"peak": 1.0}}),
}


@pytest.mark.parametrize("case", RECIPES)
def test_a_recipe_says_how_the_warm_up_is_joined(case):
    steps, warmup, changes = RECIPES[case]
    recipe = revise(Recipe(), {f"schedule.{name}": value for name, value in changes.items()})
    golden = GOLDEN[case]

    ours = ROWS[case][0] * rates(build(recipe.schedule, steps, warmup), golden["steps"])

    np.testing.assert_allclose(ours, golden["lr"], rtol=golden["rtol"], atol=golden["atol"])
