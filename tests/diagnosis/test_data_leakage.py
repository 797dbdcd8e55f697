"""Held parts that know too much."""

import numpy as np
import pytest

from tests.diagnosis.curves import falling, flat, found, history, loud
from tests.diagnosis.lived import answers, gravity, inputs, lived

KNOWN = falling(30, 2.3, 0.001, pace=15, noise=0.01)


def test_a_held_loss_that_follows_to_nothing_is_a_note():
    (one,) = found("data.leakage", history(train=KNOWN, val=KNOWN * 0.95))

    assert (one.severity, one.confidence < 0.5) == ("note", True)


def test_a_perfect_score_is_told():
    (one,) = found("data.leakage", history(train=KNOWN, val=KNOWN * 0.95, accuracy=np.ones(30)))

    assert one.message == "curves.too_good_perfect"


def test_a_gap_is_quiet():
    assert not found("data.leakage", history(train=KNOWN, val=falling(30, 2.3, 0.1)))


def test_training_losses_lifted_by_dropout_are_quiet():
    assert not loud("data.leakage", history(train=falling(30, 2.3, 0.6), val=falling(30, 2.0, 0.4)))
    assert not found("data.leakage", history(train=falling(30, 2.3, 0.6), val=falling(30, 2.0, 0.4)))


def test_a_huge_first_value_is_no_height_to_come_down_from():
    level = flat(29, level=0.693)

    assert not found("data.leakage", history(train=[2e4, *level], val=[0.7, *level]))


def test_a_huge_first_value_before_a_true_fall_hides_nothing():
    (one,) = found("data.leakage", history(train=[2e4, *KNOWN], val=[1.0, *KNOWN * 0.95]))

    assert one.severity == "note"


ALL_APART = {
    "evaluations": 5,
    "rows": 400,
    "distinct": 400,
    "known": 0.0,
    "known_whole": 0.0,
    "known_none": 1.0,
    "offset": 0.05,
    "spread": 0.02,
}


def judged(**told):
    return ALL_APART | told


@pytest.mark.parametrize(
    ("history", "severity"),
    [
        (lived(val=[1.0, 0.5, 0.3], judged=judged(known=0.1, known_none=0.0), inputs=inputs(distinct=2000)), "warning"),
        (
            lived(
                val=[1.0, 0.5, 0.3],
                judged=judged(known=1.0, known_whole=1.0, known_none=0.0),
                inputs=inputs(distinct=2000),
            ),
            "error",
        ),
        (
            lived(inputs=inputs(told_first=0.999, told_second=0.5, told_column=3, distinct=900), answers=answers()),
            "warning",
        ),
    ],
    ids=["some rows known", "all rows known", "a column that tells"],
)
def test_what_a_watch_saw_is_told(history, severity):
    assert gravity("data.leakage", history) == severity


@pytest.mark.parametrize(
    "history",
    [
        lived(val=[1.0, 0.5, 0.3], judged=judged(), inputs=inputs(distinct=2000)),
        lived(judged=judged(known=1.0, known_whole=1.0, known_none=0.0), inputs=inputs(distinct=2000)),
        lived(
            val=[1.0, 0.5, 0.3], judged=judged(known=0.5, known_whole=0.5, known_none=0.5), inputs=inputs(distinct=2000)
        ),
        lived(val=[1.0, 0.5, 0.3], judged=judged(known=0.3, known_none=0.0), inputs=inputs(distinct=1500)),
        lived(inputs=inputs(told_first=0.95, told_second=0.93, told_column=3, distinct=900), answers=answers()),
        lived(
            inputs=inputs(told_first=0.999, told_second=0.5, told_column=3, distinct=900, columns=2), answers=answers()
        ),
        lived(
            inputs=inputs(told_first=0.999, told_second=0.5, told_column=3, distinct=900, answers=10),
            answers=answers("numbers"),
        ),
    ],
    ids=[
        "rows apart",
        "judged on the training part alone, and told so",
        "judged on both parts",
        "copies among the training rows too",
        "good columns have company",
        "two columns",
        "many targets",
    ],
)
def test_what_may_be_sound_is_quiet(history):
    assert gravity("data.leakage", history) == ""
