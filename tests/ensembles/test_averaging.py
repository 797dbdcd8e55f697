"""Averages of predictions: closed forms, laws that hold for all of them, and what is refused."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import Averaged, average
from tunesmith.ensembles.averaging import shares
from tunesmith.records import DataError

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(2, 4))


def chances(sizes: tuple[int, int, int], seed: int) -> Array:
    powers = np.exp(np.random.default_rng(seed).normal(scale=2, size=sizes))
    return np.asarray(powers / powers.sum(axis=2, keepdims=True))


def weights_of(members: int, seed: int) -> Array:
    return np.random.default_rng(seed + 1).random(members) + 0.01


@given(SIZES, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_members_does_not_matter(sizes: tuple[int, int, int], seed: int) -> None:
    predictions, weights = chances(sizes, seed), weights_of(sizes[0], seed)
    order = np.random.default_rng(seed + 2).permutation(sizes[0])

    first = average(predictions, weights, kind="multiclass")
    other = average(predictions[order], weights[order], kind="multiclass")

    assert np.allclose(first, other, rtol=0, atol=1e-15)


@given(SIZES, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_an_average_of_probabilities_is_one_and_lies_between_its_members(
    sizes: tuple[int, int, int], seed: int
) -> None:
    predictions, weights = chances(sizes, seed), weights_of(sizes[0], seed)

    mean = average(predictions, weights, kind="multiclass")

    assert np.allclose(mean.sum(axis=1), 1, atol=1e-12)
    assert (mean >= predictions.min(axis=0) - 1e-12).all()
    assert (mean <= predictions.max(axis=0) + 1e-12).all()


@given(SIZES, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_log_loss_of_the_average_is_at_most_the_mean_of_the_log_losses(
    sizes: tuple[int, int, int], seed: int
) -> None:
    predictions, weights = chances(sizes, seed), weights_of(sizes[0], seed)
    rows, truth = np.arange(sizes[1]), np.random.default_rng(seed).integers(0, sizes[2], sizes[1])

    mean = average(predictions, weights, kind="multiclass")

    each = -np.log(predictions[:, rows, truth]).mean(axis=1)
    assert -np.log(mean[rows, truth]).mean() <= shares(weights, sizes[0]) @ each + 1e-12


@given(SIZES, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_squared_error_of_the_average_is_the_mean_error_less_the_mean_ambiguity(
    sizes: tuple[int, int, int], seed: int
) -> None:
    values, weights = np.random.default_rng(seed).normal(size=sizes), weights_of(sizes[0], seed)
    truth = np.random.default_rng(seed + 3).normal(size=sizes[1:])

    mean = average(values, weights, kind="multi_regression")

    parts = shares(weights, sizes[0]) @ ((values - truth) ** 2 - (values - mean) ** 2).mean(axis=(1, 2))
    assert ((mean - truth) ** 2).mean() == pytest.approx(parts, abs=1e-12)  # Krogh & Vedelsby (1995)


def test_one_model_is_itself_to_the_last_bit_whatever_stands_beside_it_with_weight_nought() -> None:
    predictions = chances((3, 7, 4), 0)

    mean = average(predictions, [0, 2, 0], kind="multiclass")

    assert np.array_equal(mean, predictions[1])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9).filter(any))
def test_shares_of_shares_are_the_same_to_the_last_bit(counts: list[int]) -> None:
    once = shares(counts, len(counts))

    again = shares(once, len(counts))

    assert np.array_equal(once, again)
    assert once.sum() == pytest.approx(1)


def test_tensors_lists_and_one_column_are_taken() -> None:
    given_by_torch = [torch.tensor([0.25, 0.5]), torch.tensor([0.75, 1.0])]

    assert average(given_by_torch, kind="binary").tolist() == [0.5, 0.75]
    assert average([[[0.0, 1.0]], [[1.0, 1.0]]], kind="multilabel").tolist() == [[0.5, 1.0]]
    assert average([[3.0], [5.0]], kind="regression").tolist() == [4.0]
    assert average(list(torch.full((2, 3, 1000), 0.001, dtype=torch.float16)), kind="multiclass").shape == (3, 1000)


@pytest.mark.parametrize(
    ("predictions", "weights", "kind", "says"),
    [
        ([], None, "regression", "there are no predictions to average"),
        ([[1.0], [1.0, 2.0]], None, "regression", "model 1 predicts an array of shape (2,) and model 0 one of (1,)"),
        ([[0.5, 0.5]], None, "multiclass", "of shape (2,); (N, K) was expected"),
        ([[]], None, "regression", "give at least one row"),
        ([[[0.5, 0.5]], [[0.5, np.nan]]], None, "multiclass", "model 1 predicts [0.5, nan] in row 0; a finite number"),
        ([[[0.5, 0.5], [3.0, -2.0]]], None, "multiclass", "model 0 predicts [3, -2] in row 1; probabilities were"),
        ([[[0.9, 0.9]]], None, "multiclass", "they sum to 1 over the classes"),
        ([[1.5]], None, "binary", "take the softmax or the sigmoid"),
        ([[1.0]], [1, 2], "regression", "weights of shape (2,) for 1 models"),
        ([[1.0], [2.0]], [1, -1], "regression", "leave a model out rather than weigh it below 0"),
        ([[1.0], [2.0]], [0, 0], "regression", "one of them above 0"),
        ([[1.0]], None, "regresion", "no kind of task called 'regresion'; did you mean 'regression'"),
    ],
)
def test_what_cannot_be_averaged_gets_a_sentence(predictions: Any, weights: Any, kind: str, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        average(predictions, weights, kind=kind)


def test_several_predictors_are_one_and_those_without_weight_are_not_asked() -> None:
    def broken(inputs: Any) -> Any:
        raise AssertionError

    both = Averaged(predictors=(np.square, broken, np.abs), kind="regression", weights=np.array([1, 0, 3]))

    assert both(np.array([-2.0])).tolist() == [2.5]
