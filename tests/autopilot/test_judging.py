"""Scores, and gains with their evidence."""

import numpy as np
import pytest

from tunesmith.autopilot.judging import Scorer


def chances(target, right, drawn):
    """Predictions of which a share is right."""
    hit = drawn.uniform(size=len(target)) < right
    said = np.where(hit, target, 1 - target)
    return np.eye(2)[said] * 0.8 + 0.1


def test_a_gain_is_sure_where_it_is_beyond_the_choice_of_the_rows():
    drawn = np.random.default_rng(0)
    target = drawn.integers(0, 2, 2000)
    scorer = Scorer("binary", "accuracy", target, positive=1)
    good, bad = chances(target, 0.9, drawn), chances(target, 0.8, drawn)

    gain, loss, none = scorer.gain(good, bad), scorer.gain(bad, good), scorer.gain(good, good)

    assert gain.value == pytest.approx(scorer.score(good) - scorer.score(bad))
    assert gain.sure
    assert gain.low > 0
    assert not loss.sure
    assert loss.chance < 0.01
    assert (none.value, none.chance, none.sure) == (0.0, 0.5, False)


def test_for_an_error_less_is_better():
    target = np.linspace(0, 1, 50)
    scorer = Scorer("regression", "rmse", target)

    assert scorer.better_than(0.1, 0.2)
    assert not scorer.better_than(float("nan"), 0.2)
    assert scorer.better_than(0.2, float("nan"))
    assert scorer.gain(target + 0.01, target + 0.5).sure


def test_few_rows_leave_a_small_gain_unsure():
    target = np.arange(20) % 2
    scorer = Scorer("binary", "accuracy", target, positive=1)
    new = np.eye(2)[target]
    old = np.eye(2)[np.where(np.arange(20) == 3, 1 - target, target)]

    assert scorer.gain(new, old).value == pytest.approx(0.05)
    assert not scorer.gain(new, old).sure


def test_the_interval_covers_the_true_gain_nine_times_in_ten():
    covered = []
    for seed in range(60):
        drawn = np.random.default_rng(seed)
        target = drawn.integers(0, 2, 400)
        scorer = Scorer("binary", "accuracy", target, positive=1)
        gain = scorer.gain(chances(target, 0.85, drawn), chances(target, 0.75, drawn), seed)
        covered.append(gain.low <= 0.1 <= gain.high)

    assert 0.8 <= np.mean(covered) <= 0.98
