"""The discriminator that is trained last: the classes a generator lacks, nothing where nothing is lacking."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.generative import missing_modes, mixture, ring
from tunesmith.records import DataError, ModelError, RecipeError


def test_two_of_eight_modes_are_missing() -> None:
    real, test = (mixture(ring(), 0.05, rows, seed=seed) for rows, seed in ((2000, 0), (800, 1)))
    made = mixture(ring()[:6], 0.05, 2000, seed=2)
    place = ((test[:, None] - ring()) ** 2).sum(2).argmin(1)

    found = missing_modes(real, made, test, labels=place, seed=1)

    assert all(found.by_label[mode] > 0.9 for mode in (6, 7))
    assert all(found.by_label[mode] < 0.1 for mode in range(6))
    assert found.share == pytest.approx((place >= 6).mean(), abs=0.05)
    assert found.loss < math.log(2)
    present = found.real[place < 6]
    assert 0.4 < np.median(present) < 0.5  # 8 of 14: D = (1/8) / (1/8 + 1/6) = 3/7


def test_of_equal_laws_nothing_is_missing(few: Any) -> None:
    real, test, labels = few.parts()

    found = missing_modes(real[:600], real[600:], test, labels=labels)

    assert found.share < 0.02
    assert found.loss == pytest.approx(math.log(2), abs=0.02)


def test_noise_hides_the_blur_of_a_trained_generator_and_leaves_the_classes_it_lacks(few: Any) -> None:
    real, test, labels = few.parts()
    made = few.made.reshape(-1, 1, 8, 8)

    plain, noisy = (missing_modes(real, made, test, labels=labels, noise=noise) for noise in (0.0, 0.5))

    assert plain.share > 0.8  # all is told apart, so that nothing is said
    assert plain.loss < 0.1
    lacking, there = ([noisy.by_label[one] for one in classes] for classes in (range(5, 10), range(5)))
    assert min(lacking) > max(there)
    assert np.mean(lacking) - np.mean(there) > 0.5


def test_a_net_of_ones_own_the_mark_and_the_epochs_are_obeyed(few: Any) -> None:
    real, test, _ = few.parts()
    asked = []

    def net() -> nn.Module:
        asked.append(1)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1))

    generator = torch.random.get_rng_state()
    found, again = (
        missing_modes(real[:300], 1 - real[:300], test, model=net, epochs=9, above=0.6, seed=5) for _ in range(2)
    )

    assert len(asked) == 2
    assert np.array_equal(found.real, again.real)
    assert found.share == (found.real > 0.6).mean() > 0.9
    assert 1 <= found.epoch <= 9
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_wrong_use_is_said() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2))

    with pytest.raises(RecipeError, match=r"epochs = 0, above = 0\.9, noise = 0\.0"):
        missing_modes(rows, rows, rows, epochs=0)
    with pytest.raises(RecipeError, match=r"above = 0\.5"):
        missing_modes(rows, rows, rows, above=0.5)
    with pytest.raises(DataError, match=r"shapes \[\(2,\), \(3,\)\]"):
        missing_modes(rows, rows, np.ones((4, 3)))
    with pytest.raises(DataError, match=r"labels came with shape \(3,\) for 20"):
        missing_modes(rows, rows, rows, labels=[1, 2, 3])
    with pytest.raises(DataError, match="generated came with 9 rows; this measure takes 10"):
        missing_modes(rows, rows[:9], rows)
    with pytest.raises(ModelError, match="one logit a sample"):
        missing_modes(rows, rows, rows, model=lambda: nn.Linear(2, 2))
