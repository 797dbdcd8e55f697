"""A loss that hardly moves."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, loud, plateau_then_drop, power


@pytest.mark.parametrize("seed", SEEDS)
def test_a_loss_that_stands_is_a_warning(seed):
    assert loud("loss.not_decreasing", history(train=flat(30, 1.7, seed=seed)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("course", [falling, power, plateau_then_drop])
def test_what_falls_is_quiet(course, seed):
    assert not loud("loss.not_decreasing", history(train=course(seed=seed)))


def test_what_arrived_early_is_a_note_with_its_place():
    run = history(train=falling(40, floor=0.4, pace=40, noise=0.01))

    (one,) = found("loss.not_decreasing", run)

    assert (one.severity, one.message) == ("note", "curves.stalled")
    assert one.subject["steps"][0] < 12


def test_a_held_loss_alone_may_have_arrived_before_it_was_first_measured():
    assert not loud("loss.not_decreasing", history(val=flat(30, 0.1)))


def test_a_score_that_rises_is_learning_whatever_the_loss_does():
    assert not found("loss.not_decreasing", history(train=flat(30, 1.7), accuracy=np.linspace(0.2, 0.8, 30)))


def test_epochs_that_won_nothing_on_the_held_part_are_a_note():
    run = history(train=falling(50, 0.27, 0.22, 3), val=falling(50, 0.28, 0.26, 3), accuracy=flat(50, 0.73, 0.005))

    assert "curves.held_gained_nothing" in [one.message for one in found("loss.not_decreasing", run)]
