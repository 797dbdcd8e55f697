import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.schedules import SCHEDULES, rates
from tunesmith.blocks.schedules.curve import MANY, ONE
from tunesmith.blocks.schedules.cycles import Cycles
from tunesmith.records import RecipeError

RESTARTS = SCHEDULES["cosine_restarts"]


def by_sums(step, first, ratio):
    """(cycle, share of it) with fractions, one cycle after the other."""
    start, length, k = Fraction(0), Fraction(first), 0
    while step >= start + length:
        start, length, k = start + length, length * ratio, k + 1
    return k, float((step - start) / length)


@pytest.mark.parametrize("first", [1, 3, 5, 7, 10, 50, 100, 1000])
@pytest.mark.parametrize("k", range(1, 12))
def test_a_restart_has_the_peak_at_its_very_step(first, k):
    """The usual logarithm fails for t_mul = 3 at k = 5 with each of these lengths."""
    restart = first * (3**k - 1) // 2
    schedule = RESTARTS(1000, first=first, t_mul=3.0)

    assert schedule(restart) == 1.0
    assert schedule(np.array([restart]))[0] == 1.0
    if first * 3 ** (k - 1) > 1:  # a cycle of one step is all peak
        assert schedule(restart - 1) < 1.0


def test_torch_jumps_to_the_wrong_cycle_where_we_do_not():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the order of calls
        scheduler.step(1210)

    jumped, ours = optimizer.param_groups[0]["lr"], 0.1 * RESTARTS(1, first=10, t_mul=3.0)(1210)

    assert jumped == pytest.approx(0, abs=1e-12)
    assert ours == 0.1


def test_torch_step_by_step_agrees_with_us():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=3, eta_min=0.01)
    theirs = []
    for _ in range(1300):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()

    np.testing.assert_allclose(0.1 * rates(RESTARTS(1, first=10, t_mul=3.0, floor=0.1), 1300), theirs, rtol=1e-9)


@settings(max_examples=80, deadline=None)
@given(
    first=st.integers(1, 200),
    ratio=st.sampled_from(["1", "1.1", "1.25", "1.5", "1.7", "2", "2.5", "3", "7"]),
    step=st.integers(0, 10**7),
)
def test_cycles_are_those_of_exact_sums(first, ratio, step):
    cycles = Cycles(first, float(ratio))
    if ratio == "1":
        expected = (step // first, step % first / first)
    else:
        expected = by_sums(step, first, Fraction(ratio))

    k, gone = cycles.at(step, ONE)
    many = cycles.at(np.array([step]), MANY)

    assert k == expected[0] == many[0][0]
    assert gone == pytest.approx(expected[1], abs=1e-9)
    assert many[1][0] == pytest.approx(expected[1], abs=1e-9)


def test_starts_that_are_no_whole_steps():
    """F = 100, r = 1.5: cycles begin at 0, 100, 250, 475, 812.5, 1318.75."""
    cycles = Cycles(100, 1.5)

    assert [cycles.at(t, ONE)[0] for t in (99, 100, 249, 250, 474, 475, 812, 813, 1318, 1319)] == [
        0, 1, 1, 2, 2, 3, 3, 4, 4, 5,
    ]  # fmt: skip
    assert cycles.at(813, ONE)[1] == pytest.approx(0.5 / 506.25)


def test_a_ratio_that_binary_numbers_do_not_hold():
    """1.1 is 11/10: with F = 100 the third cycle begins at 100 + 110 = 210 and the fourth at 331."""
    assert [Cycles(100, 1.1).at(t, ONE)[0] for t in (209, 210, 330, 331)] == [1, 2, 2, 3]


def test_the_largest_steps_of_an_array():
    last = np.array([2**62, 2**63 - 1])

    assert np.isfinite(RESTARTS(1000, t_mul=1000.0)(last)).all()
    assert np.isfinite(RESTARTS(1000)(last)).all()


def test_peaks_that_grow_stay_finite():
    schedule = RESTARTS(100, first=10, t_mul=1.0, m_mul=1.5)

    assert schedule(10) == pytest.approx(1.5)
    assert math.isfinite(schedule(10**9))
    assert np.isfinite(rates(schedule, [10**6, 10**9, 10**15])).all()


@pytest.mark.parametrize("settings", [{"t_mul": 0.5}, {"t_mul": "2"}, {"m_mul": 0}, {"first": -1}, {"floor": -0.1}])
def test_settings_that_cannot_be_get_a_sentence(settings):
    with pytest.raises(RecipeError, match=r"expected"):
        RESTARTS(100, **settings)
