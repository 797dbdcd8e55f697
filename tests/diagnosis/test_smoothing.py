"""Robust readings of a noisy curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.doctor.diagnosis.smoothing import blocks, flat_from, isotonic, noise, slope, smooth, step


@pytest.mark.parametrize("deviation", [0.01, 0.1, 1.0])
def test_noise_is_that_of_the_points_whatever_the_trend(deviation):
    at = np.linspace(0, 10, 5000)
    course = 3 - 0.2 * at + deviation * np.random.default_rng(0).standard_normal(5000)

    assert noise(course) == pytest.approx(deviation, rel=0.05)


def test_noise_takes_no_notice_of_spikes():
    course = 0.1 * np.random.default_rng(0).standard_normal(500)
    course[::50] += 100

    assert noise(course) == pytest.approx(0.1, rel=0.2)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
def test_isotonic_never_rises_keeps_the_mean_and_is_its_own_fit(values):
    fitted = isotonic(np.array(values))

    assert (np.diff(fitted) <= 1e-9).all()
    assert fitted.mean() == pytest.approx(np.mean(values), abs=1e-6)
    assert isotonic(fitted) == pytest.approx(fitted, abs=1e-9)


def test_slope_is_that_of_the_line_through_a_third_of_wild_points():
    at = np.arange(30.0)
    course = 2 - 0.5 * at
    course[::4] += 100

    assert slope(at, course) == pytest.approx(-0.5, abs=0.2)


def test_a_step_is_found_where_it_is():
    course = np.concatenate([np.full(20, 1.0), np.full(30, 0.2)])

    assert step(course) == (20, pytest.approx(1.0))
    assert step(np.full(30, 1.0)) == (0, 0.0)


def test_where_a_curve_becomes_flat():
    course = np.concatenate([np.linspace(2, 0.5, 20), np.full(40, 0.5)])

    assert 18 <= flat_from(course, 0.05) <= 21


def test_blocks_keep_the_span_and_the_level():
    at, level, each = blocks(np.arange(1000.0), np.full(1000, 0.7), 60)

    assert (len(level), each) == (59, 17)
    assert set(level) == {0.7}
    assert at[0] == 8.0


def test_a_running_median_drops_a_single_point():
    assert smooth(np.array([1.0, 1.0, 9.0, 1.0, 1.0])).tolist() == [1.0] * 5
