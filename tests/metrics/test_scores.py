"""Every metric against scikit-learn on random cases, with ties, weights and missing classes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.metrics import METRICS, Judged, class_report, confusion_matrix, metric, scores
from tunesmith.records import DataError, RecipeError, UnknownName

SEEDS = st.integers(0, 2**32 - 1)
CASE = {"seed": SEEDS, "rows": st.integers(2, 60), "ties": st.booleans(), "weighted": st.booleans()}


def weights(generator, rows, weighted):
    return generator.uniform(0.1, 3.0, rows) if weighted else None


def shares(generator, rows, classes, ties):
    raw = generator.random((rows, classes)) + 0.05
    raw = np.ceil(raw * 4) if ties else raw
    return raw / raw.sum(axis=1, keepdims=True)


def same(ours, theirs):
    return (math.isnan(ours) and math.isnan(theirs)) or ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@given(**CASE, classes=st.integers(2, 6))
@settings(max_examples=150, deadline=None)
def test_classes(seed, rows, ties, weighted, classes):
    from sklearn import metrics as truth

    generator = np.random.default_rng(seed)
    target, given_ = generator.integers(0, classes, rows), shares(generator, rows, classes, ties)
    weight = weights(generator, rows, weighted)
    decided, labels = given_.argmax(axis=1), list(range(classes))

    ours = scores("multiclass", target, given_, weight=weight)

    mean = {"average": "macro", "zero_division": 0.0, "sample_weight": weight}
    assert same(ours["accuracy"], truth.accuracy_score(target, decided, sample_weight=weight))
    recalls = truth.recall_score(target, decided, labels=np.unique(target), average=None, sample_weight=weight)
    assert same(ours["balanced_accuracy"], recalls.mean())
    assert same(ours["precision"], truth.precision_score(target, decided, **mean))
    assert same(ours["recall"], truth.recall_score(target, decided, **mean))
    assert same(ours["f1"], truth.f1_score(target, decided, **mean))
    assert ours["f1"] == ours["f1_macro"]
    assert same(ours["f1_micro"], truth.f1_score(target, decided, average="micro", sample_weight=weight))
    assert same(ours["log_loss"], truth.log_loss(target, given_, labels=labels, sample_weight=weight))
    both = [index for index in labels if 0 < (target == index).sum() < rows]
    areas = [truth.roc_auc_score(target == index, given_[:, index], sample_weight=weight) for index in both]
    precise = [truth.average_precision_score(target == index, given_[:, index], sample_weight=weight) for index in both]
    assert same(ours["roc_auc"], float(np.mean(areas)) if both else math.nan)
    assert same(ours["average_precision"], float(np.mean(precise)) if both else math.nan)
    if len(both) == classes > 2:
        assert same(ours["roc_auc"], truth.roc_auc_score(target, given_, multi_class="ovr", sample_weight=weight))


@given(**CASE, positive=st.integers(0, 1), threshold=st.one_of(st.none(), st.sampled_from([0.25, 0.5, 0.7])))
@settings(max_examples=150, deadline=None)
def test_yes_or_no(seed, rows, ties, weighted, positive, threshold):
    from sklearn import metrics as truth

    generator = np.random.default_rng(seed)
    target, given_ = generator.integers(0, 2, rows), shares(generator, rows, 2, ties)
    weight = weights(generator, rows, weighted)
    yes = target == positive
    decided = given_.argmax(axis=1) == positive if threshold is None else given_[:, positive] >= threshold

    ours = scores("binary", target, given_, positive=positive, threshold=threshold, weight=weight)

    defined = {"zero_division": np.nan, "sample_weight": weight}
    assert same(ours["accuracy"], truth.accuracy_score(yes, decided, sample_weight=weight))
    assert same(ours["precision"], truth.precision_score(yes, decided, **defined))
    assert same(ours["recall"], truth.recall_score(yes, decided, **defined))
    assert same(ours["f1"], truth.f1_score(yes, decided, **defined))
    assert same(
        ours["f1_macro"], truth.f1_score(yes, decided, average="macro", zero_division=0.0, sample_weight=weight)
    )
    if 0 < yes.sum() < rows:
        assert same(ours["roc_auc"], truth.roc_auc_score(yes, given_[:, positive], sample_weight=weight))
        assert same(
            ours["average_precision"], truth.average_precision_score(yes, given_[:, positive], sample_weight=weight)
        )
    else:
        assert math.isnan(ours["roc_auc"])
        assert math.isnan(ours["average_precision"])


@given(**CASE, labels=st.integers(1, 5), threshold=st.one_of(st.none(), st.just(0.3)))
@settings(max_examples=100, deadline=None)
def test_several_labels(seed, rows, ties, weighted, labels, threshold):
    from sklearn import metrics as truth

    generator = np.random.default_rng(seed)
    target = (generator.random((rows, labels)) < 0.4).astype(np.float32)
    given_ = np.round(generator.random((rows, labels)), 1 if ties else 8)
    weight = weights(generator, rows, weighted)
    decided = (given_ >= (threshold or 0.5)).astype(np.float32)

    ours = scores("multilabel", target, given_, weight=weight, threshold=threshold)

    occurs = (target + decided).sum(axis=0) > 0
    mean = {"average": "macro", "zero_division": 0.0, "sample_weight": weight}
    assert same(ours["accuracy"], float(np.average((target == decided).all(axis=1), weights=weight)))
    if occurs.any():
        kept = (target.astype(int)[:, occurs], decided.astype(int)[:, occurs])
        kept = tuple(each[:, 0] for each in kept) if occurs.sum() == 1 else kept
        averages = {**mean, "average": "binary"} if occurs.sum() == 1 else mean
        for name in ("precision", "recall", "f1"):
            assert same(ours[name], getattr(truth, f"{name}_score")(*kept, **averages))
    micro = truth.f1_score(
        target.ravel(),
        decided.ravel(),
        zero_division=np.nan,
        sample_weight=None if weight is None else np.repeat(weight, labels),
    )
    assert same(ours["f1_micro"], micro)
    each = [truth.log_loss(target[:, k], given_[:, k], labels=[0, 1], sample_weight=weight) for k in range(labels)]
    assert same(ours["log_loss"], float(np.mean(each)))


@given(**CASE, columns=st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_numbers(seed, rows, ties, weighted, columns):
    from sklearn import metrics as truth

    generator = np.random.default_rng(seed)
    target = generator.normal(5, 2, (rows, columns))
    given_ = target + np.round(generator.normal(0, 1, (rows, columns)), 0 if ties else 8)
    weight = weights(generator, rows, weighted)
    shape = (rows,) if columns == 1 else (rows, columns)

    ours = scores("multi_regression", target.reshape(shape), given_, weight=weight)

    assert same(ours["r2"], truth.r2_score(target, given_, sample_weight=weight))
    assert same(ours["mae"], truth.mean_absolute_error(target, given_, sample_weight=weight))
    assert same(ours["rmse"], truth.root_mean_squared_error(target, given_, sample_weight=weight))


@given(**CASE, classes=st.integers(2, 5))
@settings(max_examples=50, deadline=None)
def test_confusion_and_report(seed, rows, ties, weighted, classes):
    from sklearn import metrics as truth

    generator = np.random.default_rng(seed)
    target, given_ = generator.integers(0, classes, rows), shares(generator, rows, classes, ties)
    weight, labels = weights(generator, rows, weighted), list(range(classes))
    decided = given_.argmax(axis=1)

    cells = confusion_matrix("multiclass", target, given_, weight=weight)
    table = class_report("multiclass", target, given_, weight=weight, classes=[f"class {each}" for each in labels])

    np.testing.assert_allclose(
        cells, truth.confusion_matrix(target, decided, labels=labels, sample_weight=weight), rtol=1e-12
    )
    expected = truth.precision_recall_fscore_support(
        target, decided, labels=labels, sample_weight=weight, zero_division=np.nan
    )
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        np.testing.assert_allclose([row[name] for row in table], values, rtol=1e-12)
    assert table[1]["label"] == "class 1"


def test_the_confusion_of_several_labels():
    from sklearn.metrics import multilabel_confusion_matrix

    generator = np.random.default_rng(0)
    target, given_ = generator.integers(0, 2, (50, 3)), generator.random((50, 3))

    cells = confusion_matrix("multilabel", target, given_)

    assert cells.tolist() == multilabel_confusion_matrix(target, (given_ >= 0.5).astype(int)).tolist()


def test_what_is_undefined_is_nan_and_never_nought():
    one_class = scores("binary", np.zeros(4, int), np.tile([0.9, 0.1], (4, 1)))
    constant = scores("regression", np.ones(4), np.arange(4.0))
    broken = scores("multiclass", np.array([0, 1]), np.array([[np.nan, 1.0], [0.5, 0.5]]))
    weightless = scores("regression", np.arange(4.0), np.arange(4.0), weight=np.zeros(4))

    assert one_class["accuracy"] == 1.0
    assert all(math.isnan(one_class[name]) for name in ("roc_auc", "average_precision", "precision", "recall", "f1"))
    assert math.isnan(constant["r2"])
    assert constant["mae"] == 1.0
    assert all(map(math.isnan, broken.values()))
    assert all(map(math.isnan, weightless.values()))


def test_one_class_by_its_label():
    target, given_ = np.array([0, 0, 1, 2]), np.eye(3)[[0, 1, 1, 2]]

    ours = scores("multiclass", target, given_, classes=("ham", "spam", 7), names=["f1:spam", "f1:7"])

    assert ours == {"f1:spam": pytest.approx(2 / 3), "f1:7": 1.0}
    with pytest.raises(UnknownName, match="no class called 'span'; did you mean 'spam'"):
        metric("f1:span", kind="multiclass", classes=("ham", "spam"))
    with pytest.raises(UnknownName, match="as in 'f1:spam'"):
        metric("recall:spam", kind="multiclass", classes=("ham", "spam"))


def test_one_column_is_taken_with_and_without_its_dimension():
    target, given_ = np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.6])

    assert scores("binary", target, given_) == scores("binary", target, np.stack([1 - given_, given_], axis=1))
    assert scores("regression", target, given_[:, None]) == scores("regression", target[:, None], given_)


def test_names_that_do_not_fit_get_a_sentence():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        metric("acuracy", kind="binary")
    with pytest.raises(
        RecipeError, match="'r2' does not fit a binary task; those that do: accuracy, average_precision"
    ):
        metric("r2", kind="binary")
    assert metric("auto", kind="regression") is METRICS["r2"]


@pytest.mark.parametrize(
    ("kind", "target", "prediction", "words"),
    [
        ("multiclass", [0, 3], np.full((2, 3), 1 / 3), "holds class 3, classes 0 to 2"),
        ("multiclass", [0, -1], np.full((2, 3), 1 / 3), "holds class -1"),
        ("multiclass", [0, 1], [0.5, 0.5], r"shape \(2,\), one probability for each class"),
        ("multilabel", np.zeros((2, 3)), np.zeros((2, 2)), r"\(2, 3\) and the prediction \(2, 2\)"),
        ("regression", np.zeros(3), np.zeros(2), "do not fit"),
        ("regression", np.zeros(0), np.zeros(0), "no rows"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(kind, target, prediction, words):
    with pytest.raises(DataError, match=words):
        Judged(kind, np.asarray(target), np.asarray(prediction))


def test_weights_of_another_length_are_refused():
    with pytest.raises(DataError, match=r"weights of shape \(3,\) for 4 rows"):
        scores("regression", np.zeros(4), np.zeros(4), weight=np.ones(3))
