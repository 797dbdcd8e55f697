"""Held losses that rise, and those that only look so."""

import numpy as np
import pytest

from tests.diagnosis.curves import (
    SEEDS,
    double_descent,
    falling,
    flat,
    found,
    history,
    late_generalisation,
    loud,
    rising_after,
)

TRAIN = falling(60, start=1.0, floor=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_held_loss_that_doubles_is_a_warning_with_the_best_moment(seed):
    run = history(train=TRAIN, val=rising_after(60, best=0.5, at=0.3, end=1.2, seed=seed))

    (one,) = found("fit.overfit", run)

    assert one.severity == "warning"
    assert 13 <= one.subject["steps"][0] <= 25
    assert "epoch" in one.remedies[0].text()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_score_that_holds_makes_it_a_note(seed):
    run = history(train=TRAIN, val=rising_after(60, end=0.8, seed=seed), accuracy=np.linspace(0.6, 0.9, 60))

    assert [one.severity for one in found("fit.overfit", run)] == ["note"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "val",
    [
        lambda seed: falling(60, 1.0, 0.4, seed=seed),
        lambda seed: flat(60, 0.5, 0.1, seed=seed),
        lambda seed: double_descent(60, seed=seed),
        lambda seed: late_generalisation(60, seed=seed),
    ],
)
def test_courses_that_are_no_overfitting(val, seed):
    assert not loud("fit.overfit", history(train=TRAIN, val=val(seed)))


def test_steps_of_a_tiny_held_part_are_quiet():
    draws = np.round(np.random.default_rng(0).binomial(20, 0.3, 60) / 20, 2) + 0.2

    assert not loud("fit.overfit", history(train=TRAIN, val=draws))


def test_a_training_loss_above_the_held_one_is_quiet():
    assert not found("fit.overfit", history(train=falling(60, 1.2, 0.6), val=falling(60, 0.9, 0.4)))


def test_a_held_loss_that_diverges_with_the_training_loss_is_another_matter():
    course = rising_after(60, end=2.0)

    assert not found("fit.overfit", history(train=course, val=course * 1.1))


def test_without_a_held_part_nothing_is_said():
    assert not found("fit.overfit", history(train=TRAIN))


def test_a_flat_held_loss_under_a_score_that_improves_is_at_most_a_gap():
    run = history(train=TRAIN, val=flat(60, 0.23, 0.05), wer=np.linspace(14.3, 9.6, 60))

    assert [one.message for one in found("fit.overfit", run)] in ([], ["curves.gap"])
