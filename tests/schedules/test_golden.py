"""The schedules against rates that other libraries gave, where they know the same curve."""

import json
from pathlib import Path

import numpy as np
import pytest

from tunesmith.blocks.schedules import SCHEDULES, build, join, linear_warmup, rates
from tunesmith.records import Recipe, revise

GOLDEN = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "golden" / "schedules.json").read_text())["cases"]
}
END = 10**9

# id: (member, arguments, peak rate, first step that is compared, last one)
CASES = {
    "tf_exponential": ("exponential", (100,), {"gamma": 0.96, "every": 100}, 0.1, 0, END),
    "tf_exponential_staircase": ("exponential", (100,), {"gamma": 0.96, "every": 100, "staircase": True}, 0.1, 0, END),
    "tf_polynomial_sqrt": ("polynomial", (1000,), {"power": 0.5, "floor": 0.1}, 0.1, 0, END),
    "tf_polynomial_cycle": ("polynomial", (100,), {"power": 1.0, "floor": 0.01, "cycle": True}, 0.1, 0, END),
    "tf_cosine": ("cosine", (1000,), {}, 0.1, 0, END),
    "tf_cosine_alpha": ("cosine", (1000,), {"floor": 0.1}, 0.1, 0, END),
    "torch_step": ("step", (20,), {"every": 2}, 0.5, 0, END),
    "torch_multistep_seed": (
        "multi_step",
        (400,),
        {"milestones": [200, 300, 320, 340, 200], "gamma": 0.8},
        0.1,
        0,
        END,
    ),
    "torch_exponential": ("exponential", (100,), {"gamma": 0.98}, 0.1, 0, END),
    "torch_cosine_annealing": ("cosine", (150,), {}, 0.1, 0, 150),  # torch climbs again after its end
    "torch_cosine_annealing_eta": ("cosine", (10,), {"floor": 0.1}, 0.1, 0, 10),
    "torch_one_cycle_cos": ("one_cycle", (100,), {}, 0.1, 0, END),
    "torch_one_cycle_linear": (
        "one_cycle",
        (100,),
        {"shape": "linear", "rise": 0.45, "start": 10.0, "end": 100.0},
        0.1,
        0,
        END,
    ),
    "torch_one_cycle_three_phase": ("one_cycle", (100,), {"three_phase": True}, 0.1, 0, END),
    "torch_polynomial": ("polynomial", (20,), {"power": 0.9}, 0.1, 0, END),
    "torch_linear": ("linear", (8,), {"start": 0.1, "floor": 1.0}, 0.1, 0, END),
}
AFTER_WARMUP = {
    "inverse_sqrt": ("inverse_sqrt", 100, (10_000,), {"timescale": 100}, 0.001),
    "wsd_cosine": ("wsd", 10, (90,), {"decay": 20, "floor": 0.1, "shape": "cosine"}, 0.01),
    "wsd_linear": ("wsd", 10, (90,), {"decay": 20, "floor": 0.1, "shape": "linear"}, 0.01),
    "wsd_1-sqrt": ("wsd", 10, (90,), {"decay": 20, "floor": 0.1, "shape": "1-sqrt"}, 0.01),
    "torch_sequential_warmup_cosine": ("cosine", 10, (90,), {}, 0.1),
    "gradual_warmup": ("constant", 2500, (1,), {}, 0.1),
}


@pytest.mark.parametrize("case", CASES)
def test_a_curve_of_another_library_is_met(case):
    name, arguments, settings, peak, first, last = CASES[case]
    golden = GOLDEN[case]
    kept = [i for i, step in enumerate(golden["steps"]) if first <= step <= last]

    ours = peak * rates(SCHEDULES[name](*arguments, **settings), [golden["steps"][i] for i in kept])

    assert len(kept) >= 3
    np.testing.assert_allclose(
        ours, [golden["lr"][i] for i in kept], rtol=golden["rtol"], atol=max(golden["atol"], 1e-15)
    )


@pytest.mark.parametrize("case", AFTER_WARMUP)
def test_after_a_warm_up_too(case):
    name, warmup, arguments, settings, peak = AFTER_WARMUP[case]
    golden = GOLDEN[case]
    kept = [i for i, step in enumerate(golden["steps"]) if step >= warmup]

    ours = peak * rates(
        join(linear_warmup(warmup), SCHEDULES[name](*arguments, **settings), warmup), [golden["steps"][i] for i in kept]
    )

    np.testing.assert_allclose(
        ours, [golden["lr"][i] for i in kept], rtol=golden["rtol"], atol=max(golden["atol"], 1e-15)
    )


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
