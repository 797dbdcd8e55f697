"""Runs that end on their way."""

import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, loud, rising_after, straight


@pytest.mark.parametrize("seed", SEEDS)
def test_a_straight_fall_to_the_end_is_a_warning(seed):
    assert loud("fit.too_few_epochs", history(train=straight(20, 2.3, 1.2, 0.005, seed=seed)))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_has_arrived_is_quiet(seed):
    assert not found("fit.too_few_epochs", history(train=falling(40, pace=12, seed=seed)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_still_wins_a_little_is_no_warning(seed):
    assert not loud("fit.too_few_epochs", history(train=falling(40, floor=0.1, pace=4, seed=seed)))


def test_a_rate_at_its_end_has_done_what_it_planned():
    run = history(train=straight(20, 2.3, 1.2, 0.005), lr=[0.1 * (20 - epoch) / 20 for epoch in range(20)])

    assert not found("fit.too_few_epochs", run)


def test_a_held_loss_that_rises_wants_no_more_epochs():
    assert not found("fit.too_few_epochs", history(train=straight(40, 2.3, 1.2), val=rising_after(40)))


def test_noise_is_no_slope():
    assert not found("fit.too_few_epochs", history(train=flat(30, 1.0, 0.1)))
