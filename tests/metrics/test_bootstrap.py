"""Intervals and standard errors against closed forms."""

import math
import time

import numpy as np
import pytest

from tunesmith.blocks.metrics import intervals, noise, scores


def answers(rows, classes, seed):
    generator = np.random.default_rng(seed)
    logits, target = generator.normal(size=(rows, classes)), generator.integers(0, classes, rows)
    logits[np.arange(rows), target] += 1
    return target, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_the_interval_of_an_accuracy_is_that_of_the_binomial():
    target, given = answers(2000, 3, seed=1)

    low, high = intervals("multiclass", target, given, names=["accuracy"], count=4000)["accuracy"]

    share = scores("multiclass", target, given, names=["accuracy"])["accuracy"]
    half = 1.959964 * math.sqrt(share * (1 - share) / 2000)
    assert (low, high) == (pytest.approx(share - half, abs=0.1 * half), pytest.approx(share + half, abs=0.1 * half))


def test_ninety_percent_intervals_hold_the_truth_about_ninety_times_in_a_hundred():
    generator = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        error = generator.normal(size=150)
        low, high = intervals("regression", error, np.zeros(150), names=["rmse"], count=200, level=0.9, seed=trial)[
            "rmse"
        ]
        hits += low <= 1.0 <= high

    assert 0.82 <= hits / 200 <= 0.96  # 3.7 standard errors around 0.9


def test_the_same_seed_gives_the_same_intervals_and_another_does_not():
    target, given = answers(300, 2, seed=3)

    first, again, other = (intervals("binary", target, given, count=100, seed=seed) for seed in (0, 0, 1))

    assert first == again
    assert first != other
    assert all(low <= scores("binary", target, given)[name] <= high for name, (low, high) in first.items())


def test_what_is_undefined_has_no_interval_and_no_noise():
    target, given = np.zeros(20, int), np.tile([0.7, 0.3], (20, 1))

    bounds = intervals("binary", target, given, names=["roc_auc", "accuracy"], count=50)

    assert all(map(math.isnan, bounds["roc_auc"]))
    assert bounds["accuracy"] == (1.0, 1.0)
    assert math.isnan(noise("roc_auc", "binary", target, given))


def test_resamples_that_lose_a_class_do_not_spoil_the_interval():
    target, given = np.r_[1, np.zeros(30, int)], answers(31, 2, seed=4)[1]

    low, high = intervals("binary", target, given, names=["roc_auc"])["roc_auc"]

    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_the_noise_of_a_mean_is_its_standard_error(name):
    target, given = answers(1000, 3, seed=5)
    rows = given.argmax(axis=1) == target if name == "accuracy" else -np.log(given[np.arange(1000), target])

    found = noise(name, "multiclass", target, given)

    assert found == pytest.approx(rows.std() / math.sqrt(1000), rel=1e-12)


def test_the_noise_of_an_area_is_near_the_formula_of_hanley_and_mcneil():
    generator = np.random.default_rng(6)
    yes = np.arange(2000) < 500
    # exponential scores, for which the formula's Q1 and Q2 are exact
    score = np.where(yes, generator.exponential(2.0, 2000), generator.exponential(1.0, 2000))
    given = 1 / (1 + np.exp(-score))

    found = noise("roc_auc", "binary", yes.astype(int), given)

    area, m, n = 2 / 3, 500, 1500
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    expected = math.sqrt((area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (m * n))
    assert found == pytest.approx(expected, rel=0.2)


def test_rows_weighted_twice_count_like_two_rows_in_the_score_but_not_in_the_noise():
    target, given = answers(400, 2, seed=7)

    even, double = (noise("log_loss", "binary", target, given, weight=np.full(400, each)) for each in (1.0, 2.0))

    assert even == pytest.approx(double, rel=1e-12)


def test_all_intervals_of_ten_thousand_rows_take_seconds():
    target, given = answers(10_000, 2, seed=8)

    start = time.process_time()
    bounds = intervals("binary", target, given)

    assert time.process_time() - start < 3
    assert len(bounds) == 10
