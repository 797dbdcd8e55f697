import json

import numpy as np
import pytest

from tunesmith.data.target import Target, inferred, understood
from tunesmith.records import DataError

RNG = np.random.default_rng(0)
WORDS = np.array(["b", "a", "c", "a"] * 10, object)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (WORDS, "multiclass"),
        (np.array(["no", "yes"] * 9, object), "binary"),
        (np.array([True, False] * 9), "binary"),
        (np.array([-1, 1] * 9), "binary"),
        (np.array([0.0, 1.0] * 9), "binary"),
        (np.array([3, 4, 5, 6, 7] * 9), "multiclass"),
        (np.array([1.0, 2.0, 3.0] * 9), "multiclass"),
        (RNG.normal(size=50), "regression"),
        (np.array([0.5, 1.5] * 9), "regression"),
        (RNG.poisson(50, 500), "regression"),
        (np.repeat(np.arange(100), 30), "multiclass"),
        (np.repeat(np.arange(18, 90), 30), "regression"),
        (RNG.integers(0, 2, (50, 4)), "multilabel"),
        (RNG.normal(size=(50, 4)), "multi_regression"),
    ],
)
def test_the_kind_of_task_that_values_make(values, kind):
    assert inferred(values)[0] == kind


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (WORDS, ("a", "b", "c")),
        (np.array([1.0, -1.0, 1.0, 1.0]), (-1, 1)),
        (np.array([True, False, True]), (False, True)),
        (np.array([7, 3, 5] * 5), (3, 5, 7)),
    ],
)
def test_labels_of_any_type_become_sorted_indices_and_come_back(values, classes):
    target, _ = understood(values, ("y",), "auto", None)

    indices = target.encode(values)

    assert target.classes == classes
    assert indices.dtype == np.int64
    assert target.decode(indices).tolist() == values.tolist()
    assert target.decode(np.eye(len(classes))[indices]).tolist() == values.tolist()


def test_the_rarer_class_is_the_positive_one_unless_another_is_named():
    values = np.array(["spam", "ham", "spam"], object)

    assert understood(values, ("y",), "auto", None)[0].positive == 0
    assert understood(values, ("y",), "auto", "spam")[0].positive == 1
    assert understood(np.array([0, 1] * 5), ("y",), "auto", None)[0].positive == 1


def test_numbers_are_scaled_by_the_training_rows_and_come_back():
    values = RNG.normal(1e4, 300, 200)
    target = understood(values, ("y",), "auto", None)[0].scaled(values[:100], "auto")

    scaled = target.encode(values)

    assert scaled.dtype == np.float32
    assert scaled[:100].mean() == pytest.approx(0, abs=1e-5)
    assert scaled[:100].std() == pytest.approx(1, abs=1e-5)
    assert np.allclose(target.decode(scaled), values, rtol=1e-5)


def test_several_columns_are_scaled_one_by_one():
    values = RNG.normal([0, 100], [1, 50], (200, 2))
    target = understood(values, ("a", "b"), "auto", None)[0].scaled(values, "standard")

    scaled = target.encode(values)

    assert scaled.shape == (200, 2)
    assert np.allclose(scaled.std(axis=0), 1, atol=1e-5)
    assert target.outputs == 2


def test_no_scale_leaves_numbers_alone():
    values = RNG.normal(1e4, 300, 50)

    target = understood(values, ("y",), "auto", None)[0].scaled(values, "none")

    assert np.allclose(target.encode(values), values)


@pytest.mark.parametrize("values", [WORDS, np.array([-1.0, 1.0] * 4), RNG.normal(size=9), np.array([True, False] * 4)])
def test_it_travels_as_json(values):
    target = (
        understood(values, ("y",), "auto", None)[0].scaled(values, "auto")
        if values.dtype != object
        else understood(values, ("y",), "auto", None)[0]
    )

    copy = Target.from_json(json.loads(json.dumps(target.to_json())))

    assert copy.to_json() == target.to_json()
    assert np.array_equal(copy.encode(values), target.encode(values))


@pytest.mark.parametrize(
    ("values", "kind", "positive", "sentence"),
    [
        (np.array(["a"] * 5, object), "auto", None, "one value only"),
        (np.array([2.5] * 5), "regression", None, "one value only"),
        (np.array([f"u{i}" for i in range(9)], object), "auto", None, "different value in each of 9 rows"),
        (WORDS, "binary", None, "has 3; use kind = 'multiclass'"),
        (WORDS, "regression", None, "needs numbers"),
        (np.array([[0, 2], [1, 0]]), "multilabel", None, "holds 0 and 1"),
        (np.array([[0, 1], [1, 0]]), "multiclass", None, "use kind = 'multilabel'"),
        (np.array(["yes", "no"] * 5, object), "auto", "yess", "did you mean 'yes'"),
        (WORDS, "auto", "a", "leave it out"),
    ],
)
def test_a_target_that_cannot_be_learnt_gets_its_sentence(values, kind, positive, sentence):
    with pytest.raises(DataError, match=sentence):
        understood(values, ("y",) if values.ndim == 1 else ("y0", "y1"), kind, positive)


def test_an_unseen_class_is_named_with_the_nearest():
    target, _ = understood(np.array([">50K", "<=50K"] * 5, object), ("income",), "auto", None)

    with pytest.raises(DataError, match=r"2 rows of test.csv are of 1 classes .* such as '>50K.'; did you mean '>50K'"):
        target.encode(np.array([">50K.", "<=50K", ">50K."], object), "test.csv")
