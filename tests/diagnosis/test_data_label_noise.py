"""The early-learning peak."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, found, history, noisy, straight
from tests.diagnosis.lived import CHANCE, answers, gravity, inputs, lived
from tests.diagnosis.lived import falling as lived_falling


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


SHARES = {str(label): 0.25 for label in range(4)}
ONCE = {"steps_per_epoch": 20, "batch_size": 32}
SEEN_AGAIN = inputs(rows=2000, distinct=640)
HELD = {"rows": 400, "distinct": 400, "right": 0.8, "label_shares": SHARES, "linked": 9.0, "linked_chance": 4.4}


@pytest.mark.parametrize(
    "run",
    [
        lived(inputs=inputs(linked=2.0, linked_chance=4.4, distinct=640), judged=HELD),
        lived(lived_falling(1.4, 1.1), inputs=SEEN_AGAIN, judged=HELD, answers=answers(right=0.4, right_of=96), **ONCE),
        lived(
            lived_falling(1.4, 1.1),
            val=[0.5] * 9,
            inputs=SEEN_AGAIN,
            judged=HELD,
            answers=answers(root=1.0, chance=CHANCE),
            **ONCE,
        ),
    ],
    ids=["links lost", "held rows answered better", "held rows cost less"],
)
def test_worse_labels_in_training_than_in_the_held_part(run):
    assert gravity("data.label_noise", run) == "warning"


@pytest.mark.parametrize(
    "run",
    [
        lived(inputs=inputs(linked=2.0, linked_chance=4.4, distinct=640), judged=HELD | {"linked": 3.0}),
        lived(inputs=SEEN_AGAIN, judged=HELD, answers=answers(right=0.75, right_of=96), **ONCE),
        lived(inputs=inputs(rows=2000, distinct=2000), judged=HELD, answers=answers(right=0.4, right_of=96), **ONCE),
        lived(inputs=SEEN_AGAIN, judged=HELD, answers=answers(right=0.4, right_of=96), dropout=0.7, **ONCE),
        lived(
            inputs=SEEN_AGAIN,
            judged=HELD | {"label_shares": {"0": 0.9, "1": 0.1}},
            answers=answers(right=0.4, right_of=96),
            **ONCE,
        ),
        lived(
            lived_falling(1.4, 1.1),
            val=[0.5] * 9,
            moody=["1"],
            inputs=SEEN_AGAIN,
            judged=HELD,
            answers=answers(root=1.0),
            **ONCE,
        ),
    ],
    ids=[
        "no link anywhere",
        "a little better",
        "augmented",
        "much dropout",
        "drawn by class",
        "dropout lifts the loss",
    ],
)
def test_training_that_is_harder_on_purpose_is_quiet(run):
    assert gravity("data.label_noise", run) == ""
