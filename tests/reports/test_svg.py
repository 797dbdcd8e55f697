"""Charts."""

import json
import re
from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_auc_score

from tunesmith.reports.sections.probabilities import counts_by_threshold
from tunesmith.reports.svg import Axis, Line, chart, limits, log_ticks, thinned, ticks

SOME = st.floats(-1e12, 1e12, allow_nan=False)


@given(low=SOME, width=st.floats(1e-3, 1e9))
def test_ticks_lie_within_the_range_and_are_few(low: float, width: float) -> None:
    high = low + width

    found = ticks(low, high)

    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert len(found) <= 12
    assert all(low - slack <= value <= high + slack for value in found)


@given(low=st.floats(1e-8, 1e3), ratio=st.floats(1.1, 1e9))
def test_log_ticks_lie_within_the_range_and_are_few(low: float, ratio: float) -> None:
    found = log_ticks(low, low * ratio)

    assert 1 <= len(found) <= 7
    assert all(low * 0.999 <= value <= low * ratio * 1.001 for value in found)


def test_an_axis_places_its_ends() -> None:
    plain, log = Axis(2, 4, 10, 110), Axis(1, 100, 0, 200, log=True)

    assert [float(plain.place(value)) for value in (2, 3, 4)] == [10, 60, 110]
    assert float(log.place(10)) == pytest.approx(100)


def test_thinning_keeps_the_extremes_and_what_is_not_finite() -> None:
    values = np.sin(np.arange(10_000) / 50)
    values[4321], values[7000], values[8000] = 99.0, -99.0, np.nan

    steps, kept = thinned(np.arange(10_000), values)

    assert len(kept) <= 600
    assert {99.0, -99.0} <= set(kept[np.isfinite(kept)].tolist())
    assert np.isnan(kept).any()
    assert (np.diff(steps) > 0).all()


def test_limits_leave_out_what_is_not_finite_and_the_clipped_share() -> None:
    values = np.r_[np.linspace(0, 1, 1000), 1e9, np.nan, np.inf]

    low, high = limits([values], clip=0.01)

    assert -0.1 < low < 0.1
    assert high < 1.2


def test_a_line_breaks_where_a_value_is_missing() -> None:
    line = Line("loss", np.arange(5.0), np.array([1.0, 2.0, np.nan, 4.0, 5.0]))

    drawing = chart([line], labels=("step", "loss"))

    (path,) = re.findall(r'<path class="line[^"]*" d="([^"]*)"', drawing)
    assert path.count("M") == 2
    assert path.count("L") == 2


def test_the_numbers_below_the_pointer_are_those_of_the_line() -> None:
    line = Line("loss <b>", np.array([1.0, 2.0]), np.array([0.5, 0.25]))

    drawing = chart([line], labels=("step", "loss"))

    (held,) = re.findall(r'data-hover="([^"]*)"', drawing)
    (series,) = json.loads(unescape(held))["series"]
    assert (series["name"], series["x"], series["y"]) == ("loss <b>", [1.0, 2.0], [0.5, 0.25])


def test_roc_and_precision_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.3
    chance = np.round(np.clip(truth * 0.3 + rng.random(300) * 0.7, 0, 1), 2)  # rounded: with ties

    hits, false, thresholds = counts_by_threshold(truth, chance)

    recall, fall_out = np.r_[0, hits / truth.sum()], np.r_[0, false / (~truth).sum()]
    assert np.trapezoid(recall, fall_out) == pytest.approx(roc_auc_score(truth, chance))
    precision, _, wanted = precision_recall_curve(truth, chance)
    assert (hits / (hits + false))[::-1].tolist() == pytest.approx(precision[:-1].tolist()[-len(hits) :])
    assert thresholds[::-1].tolist() == wanted[-len(hits) :].tolist()
