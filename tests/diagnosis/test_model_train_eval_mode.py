"""Held losses that jump."""

import numpy as np

from tests.diagnosis.curves import falling, found, history


def test_a_held_loss_that_jumps_far_above_is_a_weak_note():
    jumps = 12 + 4 * np.random.default_rng(0).choice([-1, 1], 30) + np.random.default_rng(1).normal(0, 1, 30)

    (one,) = found("model.train_eval_mode", history(train=falling(30), val=jumps))

    assert (one.severity, one.confidence <= 0.3) == ("note", True)


def test_a_first_evaluation_far_off_is_the_warm_up_of_the_norms():
    val = falling(30, 2.0, 0.3)
    val[0] = 8.0

    assert not found("model.train_eval_mode", history(train=falling(30), val=val))


def test_tiny_held_parts_are_quiet():
    steps = np.random.default_rng(0).integers(3, 7, 30) / 10

    assert not found("model.train_eval_mode", history(train=falling(30), val=steps))
