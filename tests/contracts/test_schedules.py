"""What every schedule of the catalogue keeps."""

import subprocess
import sys

import numpy as np
import pytest

from tunesmith.blocks.schedules import SCHEDULES, build, rates
from tunesmith.records import Recipe, revise

LENGTHS = [1, 2, 3, 7, 100, 12_345]


def recipe(name, **changes):
    return revise(Recipe(), {"schedule.name": name, **changes}).schedule


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", LENGTHS)
def test_factors_are_finite_and_lie_in_the_unit_interval_far_past_the_end(name, steps):
    factors = rates(SCHEDULES[name](steps), [*range(min(steps, 200)), steps - 1, steps, steps + 1, 10 * steps, 10**9])

    assert np.isfinite(factors).all()
    assert (factors >= 0).all()
    assert (factors <= 1).all()
    assert factors.max() > 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_factor_depends_on_the_step_alone(name):
    schedule, again = SCHEDULES[name](100), SCHEDULES[name](100)
    order = np.random.default_rng(0).permutation(150)

    shuffled = rates(schedule, order.tolist())

    assert shuffled.tolist() == rates(again, 150)[order].tolist()


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_peak_is_the_recipes_rate(name):
    assert rates(SCHEDULES[name](1000), 1000).max() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 10])
def test_a_recipe_builds_it_with_and_without_warm_up_and_keeps_the_floor(name, warmup):
    curve = rates(build(recipe(name, **{"schedule.floor": 0.02}), 100, warmup), 130)

    assert curve[warmup:].min() >= 0.02 - 1e-15
    assert curve.max() <= 1.0
    if warmup:
        assert curve[:warmup].tolist() == pytest.approx([(t + 1) / warmup for t in range(warmup)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_it_gives_plain_numbers_and_says_what_it_is(name):
    assert isinstance(SCHEDULES[name](10)(3), float)
    assert SCHEDULES[name].__doc__


def test_no_schedule_imports_torch():
    script = (
        "import sys; from tunesmith.blocks.schedules import SCHEDULES; list(SCHEDULES); print('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
