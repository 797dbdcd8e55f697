"""Too few updates."""

import numpy as np

from tests.diagnosis.curves import falling, found, history, straight


def test_two_updates_an_epoch_and_a_loss_that_falls():
    run = history("step", updates=straight(20, 2.3, 1.9), epoch=np.arange(20) / 2)

    (one,) = found("batch.too_large", run)

    assert one.values["each"] == 2


def test_enough_updates_are_quiet():
    assert not found("batch.too_large", history("step", updates=straight(400, 2.3, 1.9), epoch=np.arange(400) / 40))


def test_what_has_arrived_is_quiet():
    assert not found("batch.too_large", history("step", updates=falling(20, pace=20), epoch=np.arange(20) / 2))


def test_an_epoch_that_goes_back_counts_something_else():
    assert not found("batch.too_large", history("step", updates=straight(20, 2.3, 1.9), epoch=np.arange(20) % 5))


def test_full_batches_by_design_are_quiet():
    run = history("step", updates=straight(20, 2.3, 1.9), facts={"steps_per_epoch": 1, "optimizer": "LBFGS"})

    assert not found("batch.too_large", run)
