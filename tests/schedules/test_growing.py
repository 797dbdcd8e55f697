import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.blocks.schedules import SCHEDULES, Judged, batch_steps, grow, join, linear_warmup, momentum_of, rates
from tunesmith.records import RecipeError


def test_stairs_down_become_stairs_up_as_far_as_the_batch_may_grow():
    """Smith et al., section 5.1: drops by 5 at three marks; here the batch takes two of them, the rate the third."""
    stairs = SCHEDULES["multi_step"](200, milestones=[60, 120, 160], gamma=0.2)

    rate, batch = grow(stairs, most=25)

    assert rates(batch, [0, 59, 60, 120, 160, 199]).tolist() == [1, 1, 5, 25, 25, 25]
    assert rates(rate, [0, 59, 60, 120, 160, 199]).tolist() == pytest.approx([1, 1, 1, 1, 0.2, 0.2])


@given(st.floats(0, 1), st.floats(1, 64), st.sampled_from(["linear", "sqrt"]))
def test_the_noise_goes_by_the_factor(factor, most, rule):
    rate, batch = (one(3) for one in grow(lambda step: factor, most, rule=rule))

    share = batch if rule == "linear" else batch**0.5
    assert rate / share == pytest.approx(factor, rel=1e-12)
    assert batch == int(batch)
    assert 1 <= batch <= most
    fold = (1 / factor if rule == "linear" else 1 / factor**2) if factor > 1e-9 else np.inf
    assert batch > min(fold, most) - 1 - 1e-6  # no whole multiple is left to the rate
    assert rate <= 1 + 1e-8 or rate <= factor


def test_the_batch_grows_where_the_rate_would_fall():
    rate, batch = (rates(one, 121) for one in grow(SCHEDULES["cosine"](100), 16))

    assert (np.diff(batch) >= 0).all()
    assert set(batch) > {1.0, 2.0, 3.0, 16.0}
    assert batch[-1] == 16
    assert rate[-1] == 0
    assert rate[batch < 16].min() > 0.5


def test_the_warm_up_is_no_reason_for_a_large_batch():
    rate, batch = grow(join(linear_warmup(10), SCHEDULES["step"](20, every=10), 10), 8)

    assert rates(batch, [0, 5, 9, 10, 19, 20, 30]).tolist() == [1, 1, 1, 1, 1, 8, 8]
    assert rate(0) == pytest.approx(0.1)
    assert rate(20) == pytest.approx(0.8)
    assert grow(SCHEDULES["step"](20, every=10), 8, after=15)[1](12) == 1


def test_a_plateau_grows_the_batch_too():
    rate, batch = grow(SCHEDULES["plateau"](patience=0, factor=0.25), 4)
    flat = [Judged(step, 1.0) for step in (1, 2, 3)]

    assert [batch(step, flat) for step in (1, 2, 3)] == [1.0, 4.0, 4.0]
    assert [rate(step, flat) for step in (1, 2, 3)] == pytest.approx([1.0, 1.0, 0.25])


def test_the_momentum_stays_with_the_rate():
    rate, batch = grow(SCHEDULES["one_cycle"](100), 4)

    assert momentum_of(rate)(29) == pytest.approx(0.85)
    assert momentum_of(batch) is None


def test_a_growth_schedule_alone():
    growth = batch_steps([60, 120, 160], factor=5, most=100)

    assert rates(growth, [0, 59, 60, 120, 160, 10**9]).tolist() == [1, 1, 5, 25, 100, 100]
    assert rates(batch_steps([0.5], factor=2.5, steps=10), [4, 5]).tolist() == [1, 2]
    assert rates(batch_steps([3, 3], factor=2, most=64), [2, 3]).tolist() == [1, 4]
    assert batch_steps(list(range(1, 2000)), factor=10, most=7)(10**6) == 7


@pytest.mark.parametrize("milestones", [[0.5], ["0.5dur"], [3, 0.9]])
def test_shares_of_an_unknown_run_are_refused(milestones):
    with pytest.raises(RecipeError, match="say of how many updates"):
        batch_steps(milestones)


@pytest.mark.parametrize("most", [0, 0.5, -2, float("nan"), float("inf"), "8"])
def test_a_growth_is_at_least_one(most):
    with pytest.raises(RecipeError, match="growth of the batch"):
        grow(SCHEDULES["cosine"](10), most)


def test_an_unknown_rule_gets_a_sentence():
    with pytest.raises(RecipeError, match="rule = 'cube', expected one of linear, sqrt"):
        grow(SCHEDULES["cosine"](10), 4, rule="cube")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("noam", {"warmup": 20}),
        ("one_cycle", {"rise": 21}),
        ("exponential_burnin", {"burnin": 20, "start": 0.1}),
        ("exponential_burnin_2017", {"burnin": 20, "start": 0.1, "every": 50}),
        ("manual_stepping", {"boundaries": [20, 50], "rates": [0.1, 1.0, 0.1], "ramp": True}),
        ("constant", {"start": 0.1, "span": 20}),
    ],
)
def test_a_way_up_that_is_part_of_the_formula_is_no_reason_either(name, settings):
    schedule = SCHEDULES[name](100, **settings)

    alone = rates(grow(schedule, 8)[1], 30)
    joined = rates(grow(join(linear_warmup(10), schedule, 10), 8)[1], 40)

    assert alone[:20].tolist() == [1.0] * 20
    assert joined[:30].tolist() == [1.0] * 30
