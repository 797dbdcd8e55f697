"""Parts that are not alike."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, late_generalisation, rising_after


@pytest.mark.parametrize("seed", SEEDS)
def test_a_held_loss_that_never_follows(seed):
    run = history(train=falling(30, seed=seed), val=np.linspace(3.5, 5.0, 30), accuracy=flat(30, 0.1, 0.05, seed))

    assert found("data.train_val_mismatch", run)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "val",
    [
        lambda seed: falling(30, 2.2, 0.5, seed=seed),
        lambda seed: rising_after(30, 0.6, 0.3, 2.2, 1.5, seed=seed),
        lambda seed: falling(30, 4.0, 1.5, seed=seed),
    ],
)
def test_held_losses_that_follow_are_quiet(val, seed):
    assert not found("data.train_val_mismatch", history(train=falling(30, seed=seed), val=val(seed)))


def test_a_score_that_gets_good_is_overfitting_at_most():
    run = history(train=falling(30), val=np.linspace(3.5, 5.0, 30), accuracy=np.linspace(0.2, 0.8, 30))

    assert not found("data.train_val_mismatch", run)


def test_a_score_that_is_good_from_the_first_evaluation_is_overfitting_at_most():
    run = history(train=falling(30), val=np.linspace(3.5, 5.0, 30), accuracy=flat(30, 0.8, 0.01))

    assert not found("data.train_val_mismatch", run)


def test_late_generalisation_is_quiet_once_it_has_come():
    assert not found("data.train_val_mismatch", history(train=falling(80, floor=0.01), val=late_generalisation(80)))
