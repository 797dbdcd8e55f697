"""Parts that are not alike."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, late_generalisation, rising_after
from tests.diagnosis.lived import answers, gravity, lived
from tests.diagnosis.lived import flat as lived_flat


@pytest.mark.parametrize("seed", SEEDS)
def test_a_held_loss_that_never_follows(seed):
    run = history(train=falling(30, seed=seed), val=np.linspace(3.5, 5.0, 30), accuracy=flat(30, 0.1, 0.05, seed))

    assert found("data.train_val_mismatch", run)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "val",
    [
        lambda seed: falling(30, 2.2, 0.5, seed=seed),
        lambda seed: rising_after(30, 0.6, 0.3, 2.2, 1.5, seed=seed),
        lambda seed: falling(30, 4.0, 1.5, seed=seed),
    ],
)
def test_held_losses_that_follow_are_quiet(val, seed):
    assert not found("data.train_val_mismatch", history(train=falling(30, seed=seed), val=val(seed)))


def test_a_score_that_gets_good_is_overfitting_at_most():
    run = history(train=falling(30), val=np.linspace(3.5, 5.0, 30), accuracy=np.linspace(0.2, 0.8, 30))

    assert not found("data.train_val_mismatch", run)


def test_a_score_that_is_good_from_the_first_evaluation_is_overfitting_at_most():
    run = history(train=falling(30), val=np.linspace(3.5, 5.0, 30), accuracy=flat(30, 0.8, 0.01))

    assert not found("data.train_val_mismatch", run)


def test_late_generalisation_is_quiet_once_it_has_come():
    assert not found("data.train_val_mismatch", history(train=falling(80, floor=0.01), val=late_generalisation(80)))


SWAPPED = {"rows": 400, "exchanged": [[0, 1], [1, 0]], "labelled": 4, "offset": 0.05, "spread": 0.02}


def test_labels_in_another_code_are_an_error():
    assert gravity("data.train_val_mismatch", lived(answers=answers(), judged=SWAPPED)) == "error"


@pytest.mark.parametrize("apart", [{"offset": 4.0}, {"spread": 2.0}])
def test_columns_elsewhere_are_a_warning(apart):
    assert (
        gravity("data.train_val_mismatch", lived(answers=answers(), judged=SWAPPED | {"exchanged": []} | apart))
        == "warning"
    )


@pytest.mark.parametrize(
    "run",
    [
        lived(answers=answers(), judged=SWAPPED | {"exchanged": []}),
        lived(answers=answers(), judged=SWAPPED | {"exchanged": [[0, 1]]}),
        lived(lived_flat(), answers=answers(), judged=SWAPPED),
        lived(answers=answers(), judged=SWAPPED | {"exchanged": [], "offset": 4.0, "rows": 12}),
    ],
    ids=["alike", "one class taken for another", "nothing was learnt", "few rows"],
)
def test_parts_that_are_alike_are_quiet(run):
    assert gravity("data.train_val_mismatch", run) == ""
