"""Losses that are not about the task."""

import numpy as np

from tests.diagnosis.curves import falling, flat, found, history


def test_a_loss_of_classes_below_zero_is_an_error():
    (one,) = found("loss.mismatch", history(train=np.linspace(0.5, -20, 20), accuracy=flat(20, 0.5)))

    assert (one.severity, one.message) == ("error", "curves.below_zero")


def test_a_loss_that_runs_away_needs_no_score():
    assert found("loss.mismatch", history(train=-(np.arange(1.0, 30) ** 3)))


def test_likelihoods_of_densities_are_quiet():
    assert not found("loss.mismatch", history(train=falling(30, 1.0, 0.0) - 2.5, r2=np.linspace(0, 0.9, 30)))


def test_wrong_answers_that_cost_nothing_are_impossible():
    run = history(train=flat(20, 0.002), val=flat(20, 0.002), accuracy=flat(20, 0.2))

    assert [one.message for one in found("loss.mismatch", run)] == ["curves.impossible"]


def test_focal_losses_are_quiet():
    assert not found(
        "loss.mismatch", history(train=falling(20, 0.6, 0.1), val=falling(20, 0.6, 0.1), accuracy=flat(20, 0.8))
    )


def test_a_score_that_stays_while_the_loss_goes():
    run = history(train=falling(20, 15, 1, noise=0.01), val=falling(20, 15, 1), accuracy=flat(20, 0.1))

    assert [one.message for one in found("loss.mismatch", run)] == ["curves.parted"]


def test_a_loss_that_comes_down_to_guessing_beside_guesses_agrees():
    assert not found(
        "loss.mismatch", history(train=falling(20, 80, 2.35), val=falling(20, 80, 2.35), accuracy=flat(20, 0.1))
    )


def test_a_flat_accuracy_beside_a_loss_that_falls_a_little_is_learning():
    assert not found(
        "loss.mismatch", history(train=falling(20, 0.7, 0.5), val=falling(20, 0.7, 0.5), accuracy=flat(20, 0.55))
    )


def test_a_score_that_is_exactly_zero_every_time():
    run = history(train=[0.7, 0.2, 0.08], train_f1=[0.0, 0.0, 0.0])

    assert [one.message for one in found("loss.mismatch", run)] == ["curves.always_zero"]


def test_what_learns_is_quiet():
    assert not found("loss.mismatch", history(train=falling(), val=falling(seed=1), accuracy=np.linspace(0.1, 0.9, 40)))
