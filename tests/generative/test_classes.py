"""Labels and class probabilities: what is undefined, infinite, smoothed; the reading of the MODE score that sees."""

import math

import numpy as np
import pytest
import torch

from tunesmith.generative import class_correlation, class_divergence, inception_score, label_counts, mode_score
from tunesmith.records import DataError, RecipeError

EVEN = np.full(4, 0.25)


def test_a_constant_histogram_has_no_correlation() -> None:
    assert class_correlation([1, 2, 3, 4], EVEN) is None
    assert class_correlation(EVEN, [1, 2, 3, 4]) is None
    assert class_correlation([4, 3, 2, 1], [1, 2, 3, 4]) == -1
    assert class_correlation([3, 1, 4, 1], [2, 7, 1, 8]) == pytest.approx(np.corrcoef([3, 1, 4, 1], [2, 7, 1, 8])[0, 1])


def test_a_missing_class_is_infinite_one_way_and_finite_where_smoothed() -> None:
    plain, smooth = (class_divergence([40, 0], [20, 20], smoothing=s) for s in (0.0, 1.0))

    p, q = np.array([41, 1]) / 42, np.array([0.5, 0.5])
    assert plain.generated_real == pytest.approx(math.log(2))
    assert plain.real_generated == math.inf
    assert smooth.smoothing == 1
    assert smooth.generated_real == pytest.approx((p * np.log(p / q)).sum())
    assert smooth.real_generated == pytest.approx((q * np.log(q / p)).sum())


def test_the_mode_score_sees_a_missing_mode_and_the_inception_score_does_not() -> None:
    sure = np.eye(4)[[0, 1, 2] * 10]  # sharp, and the fourth class never comes
    unlike, like = np.array([0.1, 0.1, 0.1, 0.7]), np.array([1, 1, 1, 0]) / 3

    assert inception_score(sure) == pytest.approx(3)
    assert mode_score(sure, like) == pytest.approx(3)
    assert mode_score(sure, unlike) == pytest.approx(0.3 * 3, rel=1e-9)  # KL(1/3 ‖ .1) = ln(1 / .3)
    assert mode_score(np.eye(4), [0, 1, 1, 1]) == 0  # a class is made that the data do not have


def test_the_classes_of_the_data_come_as_shares_counts_or_probabilities() -> None:
    given = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    real = np.random.default_rng(1).dirichlet(np.ones(4), 30)

    found = [mode_score(given, one) for one in (real, real.mean(0), 30 * real.mean(0))]
    scores = [inception_score(one) for one in (given, torch.tensor(given, requires_grad=True))]

    assert found == pytest.approx([found[0]] * 3, rel=1e-12)
    assert scores[0] == scores[1]


def test_labels_are_counted() -> None:
    assert label_counts(np.array([3, 0, 3]), 4).tolist() == [1, 0, 0, 2]
    with pytest.raises(DataError, match="a label 4; expected numbers from 0 to 3"):
        label_counts([0, 4], 4)
    with pytest.raises(DataError, match="a label -1"):
        label_counts([0, -1], 4)
    with pytest.raises(DataError, match="expected class numbers"):
        label_counts([0.5], 4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([[3.0, -1.0]], r"softmax\(dim=1\)"),
        ([[0.5, 0.6]], r"rows sum to 1\.1 to 1\.1"),
        ([0.5, 0.5], r"shape \(2,\)"),
        ([[1.0]], r"shape \(1, 1\)"),
        ([[np.nan, 1.0]], "expected probabilities"),
    ],
)
def test_what_are_no_probabilities_is_said(wrong: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        inception_score(wrong)


def test_wrong_use_is_said() -> None:
    with pytest.raises(DataError, match="expected 2 shares"):
        mode_score([[0.5, 0.5]], [1, 1, 1])
    with pytest.raises(DataError, match="4 generated and 3 real classes"):
        class_correlation(EVEN, [1, 2, 3])
    with pytest.raises(DataError, match="histogram of real samples"):
        class_divergence(EVEN, [-1, 1, 1, 1])
    with pytest.raises(RecipeError, match="smoothing = -1"):
        class_divergence(EVEN, EVEN, smoothing=-1)
