"""Gradients that are noise."""

import numpy as np

from tests.diagnosis.curves import falling, flat, found, history


def run(loss, scale, cosine=0.0):
    return history(
        "step",
        updates=loss,
        noise_scale=np.full(20, scale),
        gradient_cosine=np.full(20, cosine),
        facts={"batch_size": 4},
    )


def test_noise_far_beyond_the_batch_under_a_loss_that_stands():
    (one,) = found("batch.too_small", run(flat(300, 2.0, 0.1), 5000.0))

    assert one.remedies[0].change == {"train.batch_size": 32}


def test_sound_runs_are_quiet():
    assert not found("batch.too_small", run(falling(300, floor=0.1), 5000.0))
    assert not found("batch.too_small", run(flat(300, 2.0, 0.1), 10.0))
    assert not found("batch.too_small", run(flat(300, 2.0, 0.1), 5000.0, cosine=0.5))
