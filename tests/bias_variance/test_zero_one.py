import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunesmith.doctor.bias_variance.zero_one import counts_of, disagreement, domingos, kohavi_wolpert

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text(encoding="utf-8"))[
    "bias_variance_01"
]
labels = st.integers(0, 2)


def test_the_reference_values():
    pred, y = np.array(GOLDEN["pred"]), np.array(GOLDEN["y"])

    found = domingos(counts_of(pred, 3), y)

    assert found["main"].tolist() == GOLDEN["main"]
    for ours, theirs in (("error", "loss"), *((name, name) for name in ("bias", "variance", "net_variance"))):
        assert found[ours].mean() == pytest.approx(GOLDEN[theirs], rel=1e-9)


@given(arrays(int, (5, 4), elements=labels), arrays(int, 4, elements=labels))
def test_bias_and_net_variance_add_up_to_the_error_of_each_row(pred, y):
    found = domingos(counts_of(pred, 3), y)

    assert found["error"] == pytest.approx((pred != y).mean(axis=0))
    assert found["bias"] + found["net_variance"] == pytest.approx(found["error"])


@given(arrays(int, (5, 4), elements=labels), arrays(int, 4, elements=labels))
def test_the_parts_of_kohavi_and_wolpert_add_up_to_the_error_of_each_row(pred, y):
    counts = counts_of(pred, 3)

    found = kohavi_wolpert(counts, y)

    assert found["bias2_and_noise"] + found["variance"] == pytest.approx(domingos(counts, y)["error"])


@given(arrays(int, (5, 4), elements=st.integers(0, 1)), arrays(int, 4, elements=st.integers(0, 1)))
def test_of_two_classes_variance_is_added_where_unbiased_and_taken_off_where_biased(pred, y):
    found = domingos(counts_of(pred, 2), y)

    assert found["net_variance"] == pytest.approx(np.where(found["bias"] > 0, -1, 1) * found["variance"])


def test_of_three_classes_variance_helps_a_biased_row_only_as_far_as_it_is_right():
    found = domingos(np.array([[6, 1, 3]]), np.array([1]))  # the usual answer 0 is wrong, 1 is right

    assert found["variance"] == pytest.approx([0.4])
    assert found["net_variance"] == pytest.approx([-0.1])  # -P(pred = y | pred != main) = -1/4


def test_a_tie_goes_to_the_class_that_sorts_first():
    assert domingos(np.array([[1, 2, 2]]), np.array([2]))["main"].tolist() == [1]


def test_kohavi_and_wolpert_are_unbiased_for_few_refits():
    rng = np.random.default_rng(0)
    share, rows = 0.3, 200_000
    y = np.zeros(rows, int)
    counts = counts_of((rng.random((2, rows)) < share).astype(int), 2)

    found = kohavi_wolpert(counts, y)

    assert found["variance"].mean() == pytest.approx(share * (1 - share), rel=0.02)
    assert found["bias2_and_noise"].mean() == pytest.approx(share**2, rel=0.02)


def test_disagreement_is_unbiased_for_few_labels():
    rng = np.random.default_rng(1)
    pairs = (rng.random((20_000, 2)) < 0.2).astype(int)

    found = np.mean([disagreement(pair) for pair in pairs])

    assert found == pytest.approx(0.2 * 0.8, rel=0.03)
