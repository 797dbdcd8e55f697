"""Stuck at the loss of guessing."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, loud, plateau_then_drop, straight


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("classes", [2, 10, 37])
def test_known_classes_make_it_an_error(classes, seed):
    run = history(train=flat(30, np.log(classes), seed=seed), facts={"classes": classes})

    (one,) = found("loss.plateau_at_chance", run)

    assert one.severity == "error"


def test_a_known_loss_of_chance_counts_before_the_classes():
    run = history(train=flat(30, 0.5), facts={"classes": 2, "chance_loss": 0.5})

    assert loud("loss.plateau_at_chance", run)
    assert not found("loss.plateau_at_chance", history(train=flat(30, 0.5), facts={"classes": 2}))


@pytest.mark.parametrize(("name", "value"), [("auc", 0.5), ("r2", -0.01)])
def test_a_score_of_chance_tells_where_nothing_else_is_known(name, value):
    run = history(train=flat(30, 1.37), **{name: flat(30, value, 0.02)})

    assert loud("loss.plateau_at_chance", run)


def test_the_logarithm_of_a_round_number_with_an_accuracy_of_guessing():
    run = history(train=flat(30, np.log(10)), accuracy=flat(30, 0.1, 0.05))

    assert [one.severity for one in found("loss.plateau_at_chance", run)] == ["error"]


@pytest.mark.parametrize("seed", SEEDS)
def test_long_plateaus_that_drop_are_quiet(seed):
    assert not found("loss.plateau_at_chance", history(train=plateau_then_drop(seed=seed), facts={"classes": 2}))


def test_a_loss_on_its_way_is_quiet():
    assert not found("loss.plateau_at_chance", history(train=straight(30, 0.70, 0.68), facts={"classes": 2}))


def test_a_level_that_happens_to_be_a_logarithm_is_quiet():
    assert not found("loss.plateau_at_chance", history(train=falling(30, 2.3, float(np.log(7)), pace=20, noise=0.001)))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_learns_is_quiet(seed):
    assert not found("loss.plateau_at_chance", history(train=falling(seed=seed), facts={"classes": 10}))


def test_a_loss_of_seven_tenths_beside_a_good_score_is_quiet():
    assert not found("loss.plateau_at_chance", history(train=flat(30, 0.693), accuracy=flat(30, 0.9, 0.01)))
