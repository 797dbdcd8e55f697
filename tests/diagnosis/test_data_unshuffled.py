"""Rows in order."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, found, history, noisy
from tests.diagnosis.lived import answers, gravity, lived

EACH = 40


def sorted_epochs(epochs=6, noise=0.05, seed=0):
    """Down inside each epoch, up at the start of the next."""
    place = (np.arange(epochs * EACH) % EACH) / EACH
    return noisy(1.0 + 1.5 * (1 - place), noise, seed)


def run(loss, each=EACH, **more):
    return history("step", updates=loss, epoch=np.arange(len(loss)) / each, **more)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_saw_in_the_epochs(seed):
    assert found("data.unshuffled", run(sorted_epochs(seed=seed)))


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_and_a_fall_that_goes_on_are_quiet(seed):
    assert not found("data.unshuffled", run(falling(6 * EACH, noise=0.1, seed=seed)))
    assert not found("data.unshuffled", run(falling(6 * EACH, pace=2, noise=0.01, seed=seed)))


def test_rows_learnt_by_heart_drop_at_each_new_epoch():
    steps = np.repeat([2.0, 1.2, 0.7, 0.4, 0.2, 0.1], EACH)

    assert not found("data.unshuffled", run(noisy(steps, 0.05)))


def watched(entropy, repeat=1.0, batch=32):
    facts = {"classes": 10, "batch_size": batch}
    return run(falling(240), label_entropy=np.full(20, entropy), label_repeat=np.full(20, repeat), facts=facts)


def test_batches_of_one_class_prove_more():
    assert found("data.unshuffled", watched(0.1))[0].confidence > 0.8
    assert found("data.unshuffled", watched(1.3, repeat=4.0))
    assert not found(
        "data.unshuffled", watched(2.2, repeat=4.0)
    )  # tokens of a text repeat, whatever the order of the rows
    assert not found("data.unshuffled", watched(1.9))


def test_tiny_batches_cannot_tell():
    assert not found("data.unshuffled", watched(0.3, batch=2))


def test_an_epoch_that_goes_back_cannot_be_judged():
    loss = sorted_epochs()
    epoch = np.arange(len(loss)) / EACH % 2

    assert not found("data.unshuffled", history("step", updates=loss, epoch=epoch))


def test_one_label_in_all_rows_is_no_order():
    told = {"label_entropy": {"": [0.0] * 6}, "batch_rows": {"": [64.0] * 6}}
    one, ten = (lived(layers=told, classes=10, answers=answers(labels=labels)) for labels in (1, 10))

    assert gravity("data.unshuffled", ten) == "warning"
    assert gravity("data.unshuffled", one) == ""
