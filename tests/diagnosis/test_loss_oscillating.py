"""Swings without progress."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, found, history, plateau_then_drop, power, warm_restarts


@pytest.mark.parametrize("seed", SEEDS)
def test_swings_as_large_as_all_that_was_won(seed):
    course = 1.0 + 0.4 * np.random.default_rng(seed).choice([-1, 1], 40)
    course[0] = 1.6

    assert found("loss.oscillating", history(train=course))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "course",
    [
        lambda seed: falling(noise=0.08, seed=seed),
        lambda seed: power(noise=0.05, seed=seed),
        lambda seed: plateau_then_drop(seed=seed),
    ],
)
def test_noise_beside_progress_is_quiet(course, seed):
    assert not found("loss.oscillating", history(train=course(seed)))


def test_warm_restarts_are_quiet():
    loss, rate = warm_restarts()

    assert not found("loss.oscillating", history(train=loss, lr=rate))


def test_single_batches_are_not_looked_at():
    draws = np.random.default_rng(0).lognormal(0, 1.0, 50)

    assert not found("loss.oscillating", history("step", updates=draws))
