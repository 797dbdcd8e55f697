"""Held parts that know too much."""

import numpy as np

from tests.diagnosis.curves import falling, flat, found, history, loud

KNOWN = falling(30, 2.3, 0.001, pace=15, noise=0.01)


def test_a_held_loss_that_follows_to_nothing_is_a_note():
    (one,) = found("data.leakage", history(train=KNOWN, val=KNOWN * 0.95))

    assert (one.severity, one.confidence < 0.5) == ("note", True)


def test_a_perfect_score_is_told():
    (one,) = found("data.leakage", history(train=KNOWN, val=KNOWN * 0.95, accuracy=np.ones(30)))

    assert one.message == "curves.too_good_perfect"


def test_a_gap_is_quiet():
    assert not found("data.leakage", history(train=KNOWN, val=falling(30, 2.3, 0.1)))


def test_training_losses_lifted_by_dropout_are_quiet():
    assert not loud("data.leakage", history(train=falling(30, 2.3, 0.6), val=falling(30, 2.0, 0.4)))
    assert not found("data.leakage", history(train=falling(30, 2.3, 0.6), val=falling(30, 2.0, 0.4)))


def test_a_huge_first_value_is_no_height_to_come_down_from():
    level = flat(29, level=0.693)

    assert not found("data.leakage", history(train=[2e4, *level], val=[0.7, *level]))


def test_a_huge_first_value_before_a_true_fall_hides_nothing():
    (one,) = found("data.leakage", history(train=[2e4, *KNOWN], val=[1.0, *KNOWN * 0.95]))

    assert one.severity == "note"
