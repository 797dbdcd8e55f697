import math

import numpy as np
import pytest

from tunesmith.blocks.optim.batch_laws import (
    best_batch,
    best_rate,
    critical_batch,
    grown_batch,
    noise_scale,
    sgd_noise,
)
from tunesmith.records import RecipeError


def drawn(count, batch, rng, mean, spread):
    """Squared norms of mean gradients over `batch` samples, of N(mean, spread^2) in each of its dimensions."""
    noise = rng.normal(size=(count, len(mean))) * spread / math.sqrt(batch)
    return ((mean + noise) ** 2).sum(axis=1)


def test_the_estimates_are_unbiased_on_gradients_whose_law_is_known():
    rng = np.random.default_rng(0)
    mean, spread = np.array([0.3, -0.4, 0.0, 0.0]), 2.0  # |G|^2 = 0.25, tr = 16, scale 64

    found = noise_scale(drawn(40_000, 8, rng, mean, spread), drawn(40_000, 64, rng, mean, spread), 8, 64)

    assert found.gradient == pytest.approx(0.25, abs=0.01)
    assert found.trace == pytest.approx(16.0, rel=0.02)
    assert found.value == pytest.approx(64.0, rel=0.06)
    assert found.measurements == 40_000


def test_numerator_and_denominator_are_averaged_before_the_ratio():
    small, big = [4.0, 8.0], [1.0, 2.0]

    both = noise_scale(small, big, 1, 10)
    of_means = noise_scale(6.0, 1.5, 1, 10)
    mean_of_ratios = sum(noise_scale(a, b, 1, 10).value for a, b in zip(small, big, strict=True)) / 2

    assert both.value == pytest.approx(of_means.value)
    assert both.gradient == of_means.gradient
    assert noise_scale([4.0, 9.0], [1.0, 1.1], 1, 10).value != pytest.approx(mean_of_ratios)


def test_a_negative_estimate_is_told_and_gives_no_number():
    no_signal, no_noise = noise_scale(10.0, 0.9, 1, 10), noise_scale(1.0, 1.1, 1, 10)

    assert no_signal.value is None
    assert "|G|^2 is -0.111" in no_signal.because
    assert no_noise.value is None
    assert "tr(cov) is -0.111" in no_noise.because


@pytest.mark.parametrize(
    "about", [(1.0, 1.0, 8, 8), (1.0, 1.0, 8, 4), (-1.0, 1.0, 1, 2), ([], [], 1, 2), (1.0, math.nan, 1, 2)]
)
def test_norms_and_batches_that_cannot_be_are_refused(about):
    with pytest.raises(RecipeError, match="noise_scale got"):
        noise_scale(*about)


def test_the_best_rate_grows_as_the_batch_and_saturates():
    assert best_rate(1, 1e6, 1.0) == pytest.approx(1e-6, rel=1e-5)
    assert best_rate(1e9, 1e3, 0.3) == pytest.approx(0.3, rel=1e-5)


@pytest.mark.parametrize("batches", [(16, 400), (8, 64, 1000)])
def test_the_trade_off_is_found_back_from_runs_that_obey_it(batches):
    runs = [(500 * (1 + 120 / batch), 60_000 * (1 + batch / 120)) for batch in batches]

    found = critical_batch(runs)

    assert (found.steps, found.examples, found.critical) == pytest.approx((500, 60_000, 120))
    assert (found.steps_at(120), found.examples_at(120)) == pytest.approx((1000, 120_000))
    assert (found.steps_at(16) / 500 - 1) * (found.examples_at(16) / 60_000 - 1) == pytest.approx(1)


@pytest.mark.parametrize(
    "runs", [[(100, 1000)], [(100, 1000), (100, 1000)], [(100, 1000), (200, 5000)], [(0, 1), (1, 1)]]
)
def test_runs_that_fit_no_trade_off_are_refused(runs):
    with pytest.raises(RecipeError):
        critical_batch(runs)


def test_the_best_batch_is_the_inverse_of_the_noise_and_grows_with_rate_and_rows():
    noise = sgd_noise(0.1, 50_000, 128, momentum=0.9)

    assert noise == pytest.approx(0.1 * 50_000 / 12.8)
    assert best_batch(0.1, 50_000, noise, momentum=0.9) == pytest.approx(128)
    assert best_batch(0.3, 100_000, noise, momentum=0.9) == pytest.approx(6 * 128)
    with pytest.raises(RecipeError, match="momentum"):
        sgd_noise(0.1, 100, 10, momentum=1.0)


def test_growth_keeps_the_noise_of_the_decay_and_says_where_it_ends():
    grown = grown_batch(128, 0.25, rows=50_000, critical=4000)

    assert sgd_noise(0.1, 50_000, grown.batch) == pytest.approx(sgd_noise(0.025, 50_000, 128))
    assert grown.equivalent
    assert not grown_batch(128, 0.25, rows=1000).equivalent
    assert "the critical batch (300)" in grown_batch(128, 0.25, rows=50_000, critical=300).because
    assert not grown_batch(128, 0.25).equivalent
    with pytest.raises(RecipeError, match=r"lies in \(0, 1\]"):
        grown_batch(128, 2.0)
