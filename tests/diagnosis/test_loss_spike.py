"""Leaps of the training loss."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, found, history, loud, power, with_spike


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leap_of_several_updates_is_a_warning_with_its_place(seed):
    run = history("step", updates=with_spike(falling(400, noise=0.05, seed=seed), 250, 2.0, width=9))

    (one,) = found("loss.spike", run)

    assert one.severity == "warning"
    assert 250 <= one.subject["steps"][0] <= 252
    assert one.values["peak"] > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_an_epoch_that_leaps_is_a_warning(seed):
    assert loud("loss.spike", history(train=with_spike(falling(40, seed=seed), 25, 2.0, width=1)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [falling, power])
def test_noise_is_no_spike(make, seed):
    assert not found("loss.spike", history("step", updates=make(400, noise=0.2, seed=seed)))


def test_heavy_tails_of_single_batches_are_no_warning():
    draws = np.random.default_rng(0).lognormal(0, 1.0, 500) * falling(500, start=1.0, floor=0.05, noise=0)

    assert not loud("loss.spike", history("step", updates=draws))


def test_a_single_batch_is_a_note():
    run = history("step", updates=with_spike(falling(400, noise=0.02), 250, 2.0, width=1))

    assert [one.severity for one in found("loss.spike", run)] == ["note"]


def test_a_last_value_alone_cannot_tell_whether_it_stays():
    assert not loud("loss.spike", history(train=with_spike(falling(40), 39, 2.0, width=1)))


def test_one_far_beyond_everything_is_a_warning_however_short():
    assert loud("loss.spike", history("step", updates=with_spike(falling(400, noise=0.02), 250, 200.0, width=1)))


def test_what_the_optimizer_knew_before_stands_beside_it():
    surprise = np.ones(400)
    surprise[245] = 6.0
    run = history("step", updates=with_spike(falling(400), 250, 2.0, width=9), adam_surprise=surprise)

    (one,) = found("loss.spike", run)

    assert [each.value for each in one.evidence if each.name == "adam_surprise"] == [6.0]
