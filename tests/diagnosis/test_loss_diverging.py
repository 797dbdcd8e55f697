"""A loss that grows."""

import numpy as np
import pytest

from tests.diagnosis.curves import (
    SEEDS,
    double_descent,
    falling,
    found,
    history,
    late_generalisation,
    noisy,
    plateau_then_drop,
    power,
    rising_after,
    warm_restarts,
    with_spike,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_growth_beyond_the_start_is_an_error(seed):
    (one,) = found("loss.diverging", history(train=noisy(np.exp(np.linspace(0, 5, 30)), 0.05, seed)))

    assert one.severity == "error"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_turn_names_the_checkpoint_to_go_back_to(seed):
    run = history(train=rising_after(40, best=0.5, at=0.4, start=2.0, end=1.8, seed=seed), lr=np.full(40, 0.1))

    (one,) = found("loss.diverging", run)

    assert one.severity == "warning"
    assert 11 <= one.subject["steps"][0] <= 20
    assert "epoch" in one.remedies[0].text()
    assert one.remedies[1].change == {"optim.lr": pytest.approx(0.01)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "course",
    [
        lambda seed: falling(noise=0.1, seed=seed),
        lambda seed: power(noise=0.1, seed=seed),
        lambda seed: plateau_then_drop(seed=seed),
        lambda seed: double_descent(seed=seed),
        lambda seed: late_generalisation(seed=seed),
        lambda seed: with_spike(falling(seed=seed), 30, 3.0),
        lambda seed: warm_restarts(seed=seed)[0],
    ],
)
def test_sound_courses_are_quiet(course, seed):
    assert not found("loss.diverging", history(train=course(seed)))


def test_a_curriculum_that_grows_harder_is_quiet():
    train = rising_after(40, best=0.5, at=0.3, start=1.5, end=1.2)

    assert not found("loss.diverging", history(train=train, accuracy=np.linspace(0.3, 0.9, 40)))


def test_a_loss_that_was_good_from_the_start_may_wobble():
    assert not found("loss.diverging", history(train=noisy(np.full(30, 0.02), 0.2)))


def test_three_points_say_nothing():
    assert not found("loss.diverging", history(train=[1.0, 5.0, 25.0]))
