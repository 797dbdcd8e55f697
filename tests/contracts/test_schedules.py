"""What every schedule of the catalogue keeps, every warm-up, and every join of the two."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.schedules import (
    SCHEDULES,
    WARMUPS,
    Judged,
    build,
    factor_at,
    grow,
    join,
    momentum_of,
    rates,
    watches_of,
)
from tunesmith.records import Recipe, RecipeError, revise

LENGTHS = [1, 2, 3, 7, 100, 12_345]
ARGUMENTS = {"lambda": {"rule": lambda step: 1 / (1 + step)}}  # what a member cannot do without
ABOVE = {
    "linear_cosine": 1.001,
    "noisy_linear_cosine": 8.0,
}  # the peak rate and more, as in their source; 7 sigmas of noise
SEVERAL = {  # settings whose curves are others than the usual one
    "cosine_restarts": [{"t_mul": 1.0, "m_mul": 0.8}, {"t_mul": 1.5, "m_mul": 0.9}, {"t_mul": 3.0}],
    "cyclic": [{"mode": "triangular2", "down": 0.3}, {"mode": "exp_range", "gamma": 0.99}],
    "exponential": [{"gamma": 0.5, "every": 0.1, "staircase": True}],
    "exponential_burnin": [{"staircase": False, "start": 0.3}],
    "inverse_time": [{"staircase": True}],
    "manual_stepping": [{"ramp": True, "rates": (0.1, 1.0, 0.2)}],
    "natural_exponential": [{"rate": 0.5, "every": 0.1, "staircase": True}],
    "one_cycle": [{"shape": "linear", "rise": 0.6}, {"three_phase": True}],
    "plateau": [{"mode": "max", "patience": 0, "cooldown": 1}],
    "polynomial": [{"cycle": True, "power": 2.0}, {"power": 0.5}],
    "product": [{"parts": [{"name": "plateau"}, {"name": "cyclic"}]}],
    "timm_cosine": [{"first": 0.2, "cycle_mul": 1.5, "cycle_decay": 0.5, "cycle_limit": 3}],
    "wsd": [{"shape": "cosine"}, {"shape": "linear", "decay": 0.5}],
}
CASES = [(name, {}) for name in SCHEDULES] + [(name, one) for name, found in SEVERAL.items() for one in found]
NAMED = pytest.mark.parametrize(("name", "chosen"), CASES, ids=[f"{name}-{n}" for n, (name, _) in enumerate(CASES)])
HISTORY = [
    Judged(10 * n, value, noise)
    for n, (value, noise) in enumerate(
        [
            (0.9, 0.01),
            (0.7, 0.01),
            (math.nan, 0.01),
            (0.71, 0.0),
            (0.7, math.nan),
            (0.69, 0.2),
            (-0.1, 0.0),
            (0.9, 0.0),
        ],
        1,
    )
]
JOINS = ["after", "over", "product", "composite"]


def made(name, steps, **chosen):
    return SCHEDULES[name](steps, **{**ARGUMENTS.get(name, {}), **chosen})


def recipe(name, **changes):
    return revise(Recipe(), {"schedule.name": name, **changes}).schedule


def sampled(steps, warmup=0):
    ends = [steps - 1, steps, steps + 1, warmup, warmup + steps, 10 * steps, 10**9, 10**12]
    return np.unique([*range(min(steps, 150)), *(one for one in ends if one >= 0)])


@NAMED
@pytest.mark.parametrize("steps", LENGTHS)
def test_factors_are_finite_and_lie_in_the_unit_interval_far_past_the_end(name, chosen, steps):
    factors = rates(made(name, steps, **chosen), sampled(steps), HISTORY)

    assert np.isfinite(factors).all()
    assert (factors >= 0).all()
    assert (factors <= ABOVE.get(name, 1.0)).all()
    assert factors.max() > 0


@NAMED
def test_a_factor_depends_on_the_step_and_the_history_alone(name, chosen):
    schedule, again = made(name, 100, **chosen), made(name, 100, **chosen)
    order = np.random.default_rng(0).permutation(150)

    shuffled = [factor_at(schedule, step, HISTORY) for step in order.tolist()]
    straight = [factor_at(again, step, HISTORY) for step in range(150)]

    assert shuffled == [straight[step] for step in order]


@NAMED
def test_one_step_and_many_agree(name, chosen):
    schedule = made(name, 100, **chosen)
    steps = np.array([[*range(120)], [*range(10**9, 10**9 + 120)]])

    together = rates(schedule, steps, HISTORY)
    alone = [[factor_at(schedule, step, HISTORY) for step in row] for row in steps.tolist()]

    assert together.dtype == np.float64
    assert together.shape == steps.shape
    np.testing.assert_allclose(together, alone, rtol=1e-13, atol=1e-15)


@NAMED
def test_steps_come_in_any_integer_type(name, chosen):
    schedule = made(name, 100, **chosen)
    plain = rates(schedule, 90)

    for kind in ("int8", "uint8", "int32", "uint64"):
        assert rates(schedule, np.arange(90, dtype=kind)).tolist() == plain.tolist()
    assert schedule(np.int16(30)) == schedule(30)
    assert type(schedule(np.int16(30))) is float
    assert schedule(np.array([], dtype=np.int64)).tolist() == []
    assert schedule(np.array(30)).shape == ()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("step", [0.5, "3", None, np.array([0.5, 1.0])])
def test_what_is_no_step_gets_a_sentence(name, step):
    with pytest.raises(RecipeError, match="an int or an array of integers was expected"):
        made(name, 10)(step)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [0, -3, 2.5, True])
def test_a_run_has_a_whole_number_of_updates(name, steps):
    if name in ("constant", "lambda", "plateau"):
        pytest.skip("has no length")

    with pytest.raises(RecipeError, match="steps = "):
        made(name, steps)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_peak_is_the_recipes_rate(name):
    top = rates(made(name, 1000), 1000).max()

    if name == "noisy_linear_cosine":
        assert top > 1  # random
    else:
        assert top == pytest.approx(ABOVE.get(name, 1.0), rel=1e-6)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in ARGUMENTS])
@pytest.mark.parametrize("warmup", [0, 10])
def test_a_recipe_builds_it_with_and_without_warm_up_and_keeps_the_floor(name, warmup):
    curve = rates(build(recipe(name, **{"schedule.floor": 0.02}), 100, warmup), 130)

    assert curve[warmup:].min() >= 0.02 - 1e-15
    assert curve.max() <= ABOVE.get(name, 1.0)
    if warmup:
        assert curve[:warmup].tolist() == pytest.approx([(t + 1) / warmup for t in range(warmup)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_it_gives_plain_numbers_and_says_what_it_is(name):
    assert type(made(name, 10)(3)) is float
    assert "Use: " in SCHEDULES[name].__doc__


@pytest.mark.parametrize("name", WARMUPS)
@pytest.mark.parametrize("start", ["auto", 0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 100])
def test_a_warm_up_rises_to_the_full_rate_and_stays(name, start, steps):
    warmup = WARMUPS[name](steps, start=start)
    curve = rates(warmup, [*range(steps + 3), 10**9])

    assert (np.diff(curve) >= 0).all()
    assert (curve >= 0).all()
    assert (curve[steps:] == 1).all()
    assert start == "auto" or curve[0] == pytest.approx(start, abs=1e-15)
    assert start != "auto" or curve[0] > 0
    assert "Use: " in WARMUPS[name].__doc__


@pytest.mark.parametrize("name", WARMUPS)
def test_no_warm_up_is_the_full_rate_at_once(name):
    schedule = made("step", 10)

    assert rates(WARMUPS[name](0), 3).tolist() == [1.0, 1.0, 1.0]
    assert join(WARMUPS[name](0), schedule, 0) is schedule


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("how", JOINS)
@NAMED
def test_any_warm_up_joins_any_schedule(name, chosen, warmup, how):
    schedule = made(name, 60, **chosen)
    joined = join(WARMUPS[warmup](25), schedule, 25, how)
    steps = sampled(60, 25)

    together = rates(joined, steps, HISTORY)
    alone = [factor_at(joined, step, HISTORY) for step in steps[::-1].tolist()][::-1]

    assert np.isfinite(together).all()
    assert (together >= 0).all()
    assert (together <= ABOVE.get(name, 1.0)).all()
    assert all(type(one) is float for one in alone)
    np.testing.assert_allclose(together, alone, rtol=1e-13, atol=1e-15)
    assert set(watches_of(joined)) == {*watches_of(schedule), *watches_of(WARMUPS[warmup](25))}
    assert (momentum_of(joined) is None) == (momentum_of(schedule) is None)
    late = 200 if how == "after" else 225
    if warmup != "until":
        assert factor_at(joined, 225) == factor_at(schedule, late)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("most", [1, 8])
def test_any_schedule_is_split_between_rate_and_batch(name, most):
    schedule = join(WARMUPS["linear"](20), made(name, 100), 20)

    rate, batch = (rates(one, 150, HISTORY) for one in grow(schedule, most))

    np.testing.assert_allclose(rate / batch, rates(schedule, 150, HISTORY), rtol=1e-12)
    assert (batch == np.floor(batch)).all()
    assert batch.min() >= 1
    assert batch.max() <= most
    assert (batch[:20] == 1).all()


@NAMED
@settings(max_examples=15, deadline=None)
@given(
    stopped=st.integers(0, 120),
    values=st.lists(st.floats(-2, 2) | st.just(math.nan), max_size=12),
    warmup=st.sampled_from(["linear", "until"]),
    how=st.sampled_from(JOINS),
)
def test_to_stop_and_resume_is_never_to_have_stopped(name, chosen, stopped, values, warmup, how):
    """The history grows as the run goes; what came later is not there yet when the run resumes."""
    history = [Judged(10 * n, value, 0.05) for n, value in enumerate(values, 1)]

    def run(start, end):
        schedule = join(WARMUPS[warmup](15), made(name, 80, **chosen), 15, how)
        return [factor_at(schedule, step, [one for one in history if one.step <= step]) for step in range(start, end)]

    assert run(0, stopped) + run(stopped, 130) == run(0, 130)
    whole = join(WARMUPS[warmup](15), made(name, 80, **chosen), 15, how)
    assert [factor_at(whole, step, history) for step in range(130)] == run(0, 130)  # nobody looks ahead


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in ("lambda", "plateau")])  # asked one by one
def test_many_steps_are_one_call_of_the_formula(name):
    schedule = made(name, 10_000)
    formula, calls = schedule.formula, []
    schedule.formula = lambda t, m: calls.append(np.shape(t)) or formula(t, m)

    found = schedule(np.arange(10**5))

    assert calls == [(10**5,)]
    assert found.shape == (10**5,)


def test_no_schedule_imports_torch():
    script = (
        "import sys; from tunesmith.blocks.schedules import SCHEDULES, WARMUPS; list(SCHEDULES); list(WARMUPS); "
        "print('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
