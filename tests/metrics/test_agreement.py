"""Kappa against scikit-learn, a published table, and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tunesmith.blocks.metrics.agreement import cohens_kappa, counts_of, fleiss_kappa


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(5, 80))
def test_cohens_kappa_is_that_of_scikit_learn(seed, classes, rows):
    draw = np.random.default_rng(seed)
    one = draw.integers(0, classes, rows)
    other = np.where(draw.random(rows) < 0.6, one, draw.integers(0, classes, rows))
    one[0], one[1] = 0, 1

    told = cohens_kappa(one, other)

    assert told.kappa == pytest.approx(cohen_kappa_score(one, other))
    assert told.share == pytest.approx((one == other).mean())
    assert told.interval[0] <= told.kappa <= told.interval[1]


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        one = draw.integers(0, 3, 300)
        other = np.where(draw.random(300) < 0.6, one, draw.integers(0, 3, 300))
        low, high = cohens_kappa(one, other).interval
        held += low <= 0.6 <= high

    assert 0.92 <= held / 400 <= 0.98


def test_agreement_by_one_label_alone_is_undefined():
    assert np.isnan(cohens_kappa(np.zeros(5, int), np.zeros(5, int)).kappa)


def test_fleiss_kappa_of_a_worked_table():
    """Ten subjects, fourteen annotators, five classes: the worked table of Wikipedia's "Fleiss' kappa", 0.210."""
    table = np.array(
        [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
         [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    )  # fmt: skip

    assert fleiss_kappa(table) == pytest.approx(0.210, abs=5e-4)


def test_counts_and_unequal_annotators():
    counts = counts_of(np.array([[0, 1, 1], [2, 2, 2]]), 3)

    assert counts.tolist() == [[1, 2, 0], [0, 0, 3]]
    with pytest.raises(ValueError, match="2 or more"):
        fleiss_kappa(np.array([[1, 0], [2, 0]]))
