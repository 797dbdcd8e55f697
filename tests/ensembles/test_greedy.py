"""Greedy selection: a closed form, its laws on the selection rows, and digits, where it truly gains."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from tests.ensembles.digits import HELD, TEST, digits, predicted
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import average, measure, select
from tunesmith.records import DataError, RecipeError


def library(members: int, rows: Any, classes: int, seed: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, rows)
    logits = generator.normal(size=(members, rows, classes))
    logits[:, np.arange(rows), truth] += generator.random((members, 1)) * 2
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), truth


@given(st.integers(1, 6), st.integers(2, 30), st.integers(0, 10**6), st.sampled_from(["accuracy", "log_loss"]))
@settings(max_examples=40, deadline=None)
def test_without_bags_the_ensemble_is_never_below_the_best_single_model_on_the_selection_rows(
    members: int, rows: Any, seed: int, name: str
) -> None:
    predictions, truth = library(members, rows, 3, seed)
    judge = measure(name, kind="multiclass")

    found = select(predictions, truth, name, kind="multiclass", bags=0, size=12)

    alone = [judge(truth, one) for one in predictions]
    assert found.best_score == (max if judge.better == "max" else min)(alone)
    assert found.best == alone.index(found.best_score)
    assert judge.gain(found.score, over=found.best_score) >= 0
    assert found.score == judge(truth, average(predictions, found.weights, kind="multiclass"))
    assert found.score == found.bags[0].path[found.bags[0].kept - 1].score


@given(st.integers(2, 6), st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_weights_are_shares_of_at_most_so_many_models(members: int, seed: int, size: int) -> None:
    predictions, truth = library(members, 20, 3, seed)

    found = select(predictions, truth, "log_loss", kind="multiclass", bags=0, size=size)

    assert found.weights.sum() == pytest.approx(1)
    assert len(found.bags[0].path) <= size
    assert np.allclose(found.weights * found.bags[0].kept, np.round(found.weights * found.bags[0].kept))


def test_each_step_takes_the_model_that_helps_most_and_the_best_part_of_the_walk_is_kept() -> None:
    predictions, truth = library(4, 40, 3, seed=5)
    judge = measure("log_loss", kind="multiclass")

    bag = select(predictions, truth, "log_loss", kind="multiclass", bags=0, start=1, size=8, patience=8).bags[0]

    joined = [step.model for step in bag.path]
    for count in range(1, len(joined)):
        tried = [judge(truth, predictions[[*joined[:count], model]].mean(axis=0)) for model in range(4)]
        assert joined[count] == int(np.argmin(tried))
        assert bag.path[count].score == pytest.approx(min(tried), rel=1e-12)
    scores = [step.score for step in bag.path]
    assert bag.kept == scores.index(min(scores)) + 1
    assert len(joined) == 8


def test_a_convex_loss_comes_near_the_best_weights_there_are() -> None:
    predictions, truth = library(3, 300, 3, seed=11)
    judge = measure("log_loss", kind="multiclass")
    grid = np.linspace(0, 1, 41)
    simplex = [(a, b, 1 - a - b) for a, b in itertools.product(grid, grid) if a + b <= 1 + 1e-9]
    least = min(judge(truth, np.tensordot(np.clip(w, 0, 1), predictions, axes=1)) for w in simplex)

    found = select(predictions, truth, "log_loss", kind="multiclass", bags=0, size=50, patience=50)

    assert found.score <= least + 1e-3


def test_it_begins_with_as_many_of_the_best_as_score_best_together() -> None:
    truth = np.array([1.0, 1.0])
    models = [[0.5, 0.5], [1.6, 1.6], [9.0, 9.0]]  # the two best err in opposite directions

    found = select(models, truth, "mae", kind="regression", bags=0, size=2)

    assert [step.model for step in found.bags[0].path] == [0, 1]
    assert found.score == pytest.approx(0.05)


def test_of_equal_models_the_lower_number_is_taken_and_of_equal_scores_the_fewer_models() -> None:
    truth = np.array([0, 1])
    right = [[1.0, 0.0], [0.0, 1.0]]

    found = select([[[0.0, 1.0], [1.0, 0.0]], right, right], truth, "accuracy", kind="multiclass", bags=0)

    assert found.weights.tolist() == [0, 1, 0]
    assert found.best == 1
    assert found.bags[0].kept == 1


def test_of_equal_models_that_would_join_the_lower_number_does() -> None:
    truth = np.array([1.0, 1.0])

    found = select([[0.5, 0.5], [1.6, 1.6], [1.6, 1.6]], truth, "mae", kind="regression", bags=0, start=1, size=2)

    assert [step.model for step in found.bags[0].path] == [0, 1]


def test_bags_see_half_the_models_each_and_the_weights_are_the_mean_of_theirs() -> None:
    predictions, truth = library(9, 60, 3, seed=3)

    found = select(predictions, truth, "log_loss", kind="multiclass", bags=30, seed=4)

    assert {len(bag.models) for bag in found.bags} == {4}
    assert all({step.model for step in bag.path} <= set(bag.models) for bag in found.bags)
    assert np.allclose(found.weights, np.mean([bag.counts(9) / bag.kept for bag in found.bags], axis=0))
    assert len({bag.models for bag in found.bags}) > 20


def test_the_same_seed_gives_the_same_selection_and_another_does_not() -> None:
    predictions, truth = library(9, 60, 3, seed=3)

    first, again, other = (
        select(predictions, truth, "log_loss", kind="multiclass", bags=5, seed=seed) for seed in (0, 0, 1)
    )

    assert first.bags == again.bags
    assert np.array_equal(first.weights, again.weights)
    assert first.bags != other.bags


def test_a_function_selects_as_the_metric_of_that_name() -> None:
    predictions, truth = library(5, 50, 3, seed=8)

    def share_right(target: Array, prediction: Array) -> float:
        return float(accuracy_score(target, prediction.argmax(axis=1)))

    own = select(predictions, truth, share_right, kind="multiclass", better="max", bags=3)
    by_name = select(predictions, truth, "accuracy", kind="multiclass", bags=3)

    assert np.array_equal(own.weights, by_name.weights)


def test_models_whose_metric_is_undefined_are_not_chosen() -> None:
    truth = np.array([1.0, 2.0])

    def scored(target: Array, prediction: Array) -> float:
        return float("nan") if prediction[0] < 0 else float(np.abs(target - prediction).mean())

    found = select([[-9.0, 2.0], [1.0, 3.0]], truth, scored, kind="regression", better="min", bags=0)

    assert found.weights.tolist() == [0, 1]
    with pytest.raises(DataError, match="undefined for every model on these 2 rows"):
        select([[[0.5, 0.5]] * 2], [0, 0], "roc_auc", kind="binary")


@pytest.mark.parametrize("settings_", [{"size": 0}, {"start": 0}, {"bags": -1}, {"share": 0.0}, {"patience": True}])
def test_settings_out_of_range_get_a_sentence(settings_: Any) -> None:
    with pytest.raises(RecipeError, match=next(iter(settings_))):
        select([[1.0]], [1.0], "mae", kind="regression", **settings_)


def test_on_digits_the_selected_ensemble_gains_on_rows_that_took_no_part() -> None:
    predictions, y = predicted(), digits().y.numpy()
    judge = measure("log_loss", kind="multiclass")

    found = select(predictions[:, HELD], y[HELD], "log_loss", kind="multiclass", bags=0)

    ensemble = judge(y[TEST], average(predictions[:, TEST], found.weights, kind="multiclass"))
    assert ensemble < 0.75 * judge(y[TEST], predictions[found.best, TEST])  # measured: 0.199 and 0.307 nats
