"""The early-learning peak."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, found, history, noisy, straight


@pytest.mark.parametrize("seed", SEEDS)
def test_a_score_that_peaks_early_while_the_loss_falls_slowly_is_a_note(seed):
    score = noisy(np.concatenate([np.linspace(0.3, 0.8, 8), np.linspace(0.8, 0.55, 22)]), 0.01, seed)

    (one,) = found("data.label_noise", history(train=straight(30, 2.0, 0.5, 0.01, seed), accuracy=score))

    assert one.severity == "note"
    assert one.confidence < 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_score_that_rises_is_quiet(seed):
    assert not found(
        "data.label_noise", history(train=falling(30), accuracy=noisy(np.linspace(0.3, 0.9, 30), 0.01, seed))
    )


def test_a_loss_that_was_low_at_the_peak_is_plain_overfitting():
    score = np.concatenate([np.linspace(0.3, 0.8, 8), np.linspace(0.8, 0.6, 22)])

    assert not found("data.label_noise", history(train=falling(30, 2.0, 0.01, pace=30), accuracy=score))
