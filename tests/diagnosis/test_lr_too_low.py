"""Budgets that end before the loss has moved."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, power, straight
from tests.diagnosis.lived import lived, said


@pytest.mark.parametrize("seed", SEEDS)
def test_a_straight_and_small_fall(seed):
    (one,) = found("lr.too_low", history(train=straight(20, 2.3, 2.1, seed=seed), lr=np.full(20, 1e-5)))

    assert one.remedies[0].change == {"optim.lr": pytest.approx(1e-4)}


def test_short_updates_in_all_layers_prove_more():
    run = history("step", updates=straight(200, 2.3, 2.29), update_ratio=np.full(20, 1e-7))

    (one,) = found("lr.too_low", run)

    assert one.confidence > 0.7


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "course",
    [
        lambda seed: falling(seed=seed),
        lambda seed: power(seed=seed),
        lambda seed: flat(20, 2.3, seed=seed),
        lambda seed: straight(20, 2.3, 0.8, seed=seed),
    ],
)
def test_other_courses_are_quiet(course, seed):
    assert not found("lr.too_low", history(train=course(seed)))


def test_updates_of_a_usual_length_speak_against_it():
    assert not found("lr.too_low", history("step", updates=straight(200, 2.3, 2.1), update_ratio=np.full(20, 1e-2)))


def test_a_rate_that_is_gone_is_the_schedule():
    rate = 10.0 ** -np.arange(20)

    assert not found("lr.too_low", history(train=straight(20, 2.3, 2.1), lr=rate))


NOISY = 1.12 + 0.01 * np.random.default_rng(0).standard_normal(200)


def creeping(ratio, val):
    layers = {"update_ratio": {"0": [ratio] * 10, "2": [ratio] * 10}}
    return lived(NOISY, val=val, layers=layers)


def test_where_batches_are_noisy_the_held_loss_tells():
    (one,) = said("lr.too_low", creeping(1e-4, np.linspace(1.1188, 1.1149, 8)))

    assert one.severity == "warning"


@pytest.mark.parametrize(
    "run",
    [
        creeping(1e-4, np.full(8, 1.12)),
        creeping(4e-3, np.linspace(1.1188, 1.1149, 8)),
        creeping(1e-4, falling(8, 1.12, 0.2)),
    ],
    ids=["it stands still", "usual updates", "it falls well"],
)
def test_other_held_losses_are_quiet(run):
    assert not said("lr.too_low", run)
