"""Logits of a model that was trained on resampled classes, moved to the shares of the data."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.blocks.losses import prior_correction
from tunesmith.records import ModelError

COUNTS = st.lists(st.integers(1, 1000), min_size=4, max_size=4)


@given(COUNTS, COUNTS)
def test_it_is_the_rule_of_bayes(true, seen):
    likelihood = np.array([[0.2, 0.5, 0.1, 0.7], [0.9, 0.1, 0.3, 0.2]])  # p(x | c) of two inputs

    def posterior(counts):
        joint = likelihood * np.array(counts) / sum(counts)
        return joint / joint.sum(1, keepdims=True)

    moved = prior_correction(torch.tensor(np.log(posterior(seen))), true, seen)

    np.testing.assert_allclose(moved.softmax(1).numpy(), posterior(true), rtol=1e-10)


def test_one_logit_is_the_difference_of_two():
    two = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one = two[:, 1] - two[:, 0]

    moved = prior_correction(two, [90, 10], [50, 50])

    assert torch.allclose(prior_correction(one, [90, 10], [50, 50]), moved[:, 1] - moved[:, 0])
    assert torch.allclose(prior_correction(one[:, None], [90, 10], [50, 50])[:, 0], moved[:, 1] - moved[:, 0])


def test_equal_shares_change_nothing_and_the_type_stays():
    logits = torch.randn(3, 2, 4).half()

    same = prior_correction(logits, [1, 2, 3, 4], [10, 20, 30, 40])

    assert same.dtype == torch.float16
    assert torch.equal(same, logits)


def test_counts_that_cannot_be_get_a_sentence():
    for true, seen, words in (
        ([1, 0], [1, 1], "true counts"),
        ([1, 1], [1, 0], "seen counts"),
        ([1, 1, 1], [1, 1], "3 true and 2 seen"),
        ([1, 1, 1], [1, 1, 1], "one count for each class"),
    ):
        with pytest.raises(ModelError, match=words):
            prior_correction(torch.zeros(3, 2), true, seen)
