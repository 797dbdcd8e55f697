"""Folds that are honest whatever the rows, out-of-fold predictions, and bags of nets on digits."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict

from tests.ensembles.digits import digits, net, trained
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import average, measure
from tunesmith.ensembles.bagging import Fold, bag, bootstrap, by_time, check_honest, grouped, plain, stratified
from tunesmith.records import DataError


def assert_each_row_is_held_once(folds: Any, rows: Any) -> None:
    assert np.array_equal(np.sort(np.concatenate([fold.held for fold in folds])), np.arange(rows))
    for fold in folds:
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.held])), np.arange(rows))


@given(st.integers(2, 200), st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_plain_folds_hold_each_row_once_and_are_equal_but_for_one(rows: Any, folds: Any, seed: int) -> None:
    if rows < folds:
        return

    found = plain(rows, folds, seed)

    assert_each_row_is_held_once(found, rows)
    sizes = [len(fold.held) for fold in found]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.sampled_from("abc"), min_size=8, max_size=150), st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_stratified_folds_have_every_class_but_for_one_row(labels: list[str], folds: Any, seed: int) -> None:
    classes = np.array(labels)

    found = stratified(labels, folds, seed)

    assert_each_row_is_held_once(found, len(labels))
    for label in np.unique(classes):
        counts = [int((classes[fold.held] == label).sum()) for fold in found]
        assert max(counts) - min(counts) <= 1
    sizes = [len(fold.held) for fold in found]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(0, 30), min_size=2, max_size=150), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_no_group_is_on_both_sides(groups: Any, folds: Any, seed: int) -> None:
    groups = np.array(groups)
    if len(np.unique(groups)) < folds:
        return

    found = grouped(groups, folds, seed)

    assert_each_row_is_held_once(found, len(groups))
    check_honest(found, len(groups), groups=groups)
    sizes = [len(fold.held) for fold in found]
    assert max(sizes) - min(sizes) <= np.bincount(groups).max()


@given(st.lists(st.integers(0, 60), min_size=3, max_size=150), st.integers(1, 6), st.booleans())
@settings(max_examples=80, deadline=None)
def test_no_row_of_the_future_or_of_the_same_time_is_trained_on(times: Any, folds: Any, dated: bool) -> None:
    times = np.array(times)
    if len(np.unique(times)) < folds + 1:
        return
    given_times = np.datetime64("2020-01-01") + times if dated else times

    found = by_time(given_times, folds)

    check_honest(found, len(times), times=given_times)
    held = np.concatenate([fold.held for fold in found])
    never = np.setdiff1d(np.arange(len(times)), held)
    assert len(np.unique(held)) == len(held)
    assert times[never].max() < times[held].min()
    assert all(np.array_equal(np.sort(fold.train), np.flatnonzero(times < times[fold.held].min())) for fold in found)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), min_size=4, max_size=80), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_by_time_with_groups_neither_the_future_nor_the_same_group_is_trained_on(rows: Any, folds: Any) -> None:
    times, groups = np.array(rows).T
    if len(np.unique(times)) < folds + 1:
        return
    try:
        found = by_time(times, folds, groups)
    except DataError:  # groups may leave a fold nothing to train on
        return

    check_honest(found, len(times), groups=groups, times=times)


def test_blocks_of_time_have_about_as_many_rows_each() -> None:
    assert [len(fold.held) for fold in by_time(np.arange(100), 4)] == [20, 20, 20, 20]
    assert [fold.held.tolist() for fold in by_time([0, 1, 1, 1, 1, 1, 1, 2, 3], 3)] == [[1, 2, 3, 4, 5, 6], [7], [8]]


@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_bootstrap_sample_draws_as_many_rows_as_there_are_and_holds_the_others_out(
    rows: Any, count: int, seed: int
) -> None:
    found = bootstrap(rows, count, seed)

    check_honest(found, rows)
    assert [len(fold.train) for fold in found] == [rows] * count
    assert all(set(fold.train) | set(fold.held) == set(range(rows)) for fold in found)


@pytest.mark.parametrize("make", [plain, lambda rows, k, seed: grouped(np.arange(rows) // 2, k, seed), bootstrap])
def test_the_same_seed_gives_the_same_folds_and_another_does_not(make: Any) -> None:
    first, again, other = ([fold.held.tolist() for fold in make(40, 4, seed)] for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_out_of_fold_predictions_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5] + generator.normal(size=60)
    theirs = KFold(4)
    folds = [Fold(train, held) for train, held in theirs.split(X)]

    found = bag(
        lambda rows: LinearRegression().fit(X[rows], y[rows]).predict, X.__getitem__, folds, kind="regression", rows=60
    )

    assert np.allclose(found.predictions, cross_val_predict(LinearRegression(), X, y, cv=theirs))
    fits = [LinearRegression().fit(X[train], y[train]) for train, _ in folds]
    assert np.allclose(found(X), np.mean([one.predict(X) for one in fits], axis=0))
    assert found.notices == ()


def test_each_model_is_asked_of_rows_it_was_not_trained_on_alone() -> None:
    asked, trained_on = [], []

    def fit(rows: Any) -> Any:
        trained_on.append(set(rows.tolist()))

        def predict(rows: Any) -> Array:
            asked.append((set(rows.tolist()), trained_on[-1]))
            return np.zeros(len(rows))

        return predict

    bag(fit, lambda rows: rows, bootstrap(30, 6), kind="regression", rows=30)

    assert len(asked) == 6
    assert not any(held & seen for held, seen in asked)


def test_rows_held_out_often_are_averaged_and_those_never_held_are_nan_and_told() -> None:
    folds = [Fold(np.array([0, 1]), np.array([2, 3])), Fold(np.array([0, 1, 2]), np.array([3]))]

    found = bag(
        lambda rows: lambda inputs: np.full(len(inputs), float(len(rows))),
        np.arange(4).__getitem__,
        folds,
        kind="regression",
        rows=4,
    )

    assert np.array_equal(found.predictions, [np.nan, np.nan, 2.0, 2.5], equal_nan=True)
    assert found.held.tolist() == [0, 0, 1, 2]
    assert found.rows.tolist() == [2, 3]
    assert found.notices == ("2 of 4 rows are held out by no fold and have no prediction (nan)",)


ROWS = np.arange(4)


@pytest.mark.parametrize(
    ("folds", "about", "says"),
    [
        ([], {}, "there are no folds"),
        ([Fold(ROWS[:2], ROWS[1:])], {}, "fold 0 trains on row 1 and holds it out"),
        ([Fold(ROWS[:2], ROWS[2:]), Fold(ROWS[:2], ROWS[:0])], {}, "fold 1 has 2 rows to train on and holds out 0"),
        ([Fold(ROWS[:2], ROWS[2:] + 1)], {}, "fold 0 names rows that are not among 0 to 3"),
        ([Fold(ROWS[:2], np.array([True, False]))], {}, "give row numbers"),
        ([Fold(ROWS[:2], np.array([2, 2]))], {}, "holds a row out twice"),
        ([Fold(ROWS[:2], ROWS[2:])], {"groups": list("abbc")}, "trains on rows of group b and holds out others of it"),
        (
            [Fold(ROWS[:2], ROWS[2:])],
            {"times": [1, 5, 5, 6]},
            "of the time 5 and holds out one of 5, which is not later",
        ),
        ([Fold(ROWS[:2], ROWS[2:])], {"groups": ["a"]}, "groups of shape (1,); 4, one a row, were expected"),
        ([Fold(ROWS[:2], ROWS[2:])], {"groups": [1, np.nan, 2, np.nan]}, "trains on rows of group nan"),
        ([Fold(ROWS[:2], ROWS[2:])], {"times": [1, np.nan, 2, 3]}, "the time of row 1 is missing"),
    ],
)
def test_folds_that_are_not_honest_get_a_sentence(folds: Any, about: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        check_honest(folds, 4, **about)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: plain(3, 4), "3 rows cannot make 4 folds"),
        (lambda: plain(10, 1), "folds = 1: a whole number of 2 or more"),
        (lambda: grouped([1, 1, 1], 2), "1 groups cannot make 2 folds"),
        (lambda: by_time([1, 1, 2], 2), "1 different times after the first cannot make 2 folds"),
        (lambda: by_time([], 1), "0 different times"),
        (lambda: by_time([1, 2], 1, groups=["a", "a"]), "leaves nothing to train on"),
        (lambda: by_time([1, 2], 1, groups=["a"]), "groups of shape (1,); 2, one a row, were expected"),
        (lambda: by_time(np.array(["2020-01-01", "NaT"], "datetime64[D]"), 1), "the time of row 1 is missing"),
        (lambda: grouped(np.array([1, "a", None], object), 2), "the groups cannot be compared with each other"),
        (lambda: stratified([[1], [2]], 2), "labels of shape (2, 1); one a row, were expected"),
        (lambda: plain(-1, 2), "0 rows cannot make 2 folds"),
        (lambda: bootstrap(1, 2), "count = 2 of 1 rows"),
        (lambda: bootstrap(9, 0), "count = 0 of 9 rows"),
    ],
)
def test_rows_that_make_no_folds_get_a_sentence(make: Any, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        make()


def test_predictions_that_do_not_fit_get_a_sentence_with_the_fold() -> None:
    folds, X = plain(6, 2), np.zeros((6, 1))
    y = np.array([0, 0, 0, 0, 0, 1])

    def fit(rows: Any) -> Any:  # the class that a fold lacks is missing in its columns
        return DummyClassifier(strategy="prior").fit(X[rows], y[rows]).predict_proba

    with pytest.raises(DataError, match="give every model all classes, also those that its fold lacks"):
        bag(fit, X.__getitem__, folds, kind="multiclass", rows=6)
    with pytest.raises(DataError, match=r"of fold 0 gives predictions of shape \(1,\) for 3 rows"):
        bag(lambda rows: lambda inputs: [0.0], X.__getitem__, folds, kind="regression", rows=6)
    with pytest.raises(DataError, match=r"fold 0: model 0 predicts \[7\] in row 0"):
        bag(lambda rows: lambda inputs: np.full(3, 7.0), X.__getitem__, folds, kind="binary", rows=6)


def test_on_digits_a_bag_beats_its_members_and_what_is_said_out_of_fold_holds_on_new_rows() -> None:
    X, y = digits().X, digits().y.numpy()
    loss, right = (measure(name, kind="multiclass") for name in ("log_loss", "accuracy"))

    def fit(rows: Any) -> Any:
        model = trained(net(0), rows)
        return lambda inputs: model(inputs).double().softmax(1).detach().numpy()

    found = bag(fit, lambda rows: X[rows], stratified(y[:400], 5), kind="multiclass", rows=400)

    new, models = slice(400, None), found.models.predictors
    assert loss(y[new], found(X[new])) < min(loss(y[new], one(X[new])) for one in models)
    promised = right(y[:400], found.predictions)  # of single models
    error = np.sqrt(promised * (1 - promised) / 400)
    assert promised == pytest.approx(np.mean([right(y[new], one(X[new])) for one in models]), abs=3 * error)
    seen = average([one(X[:400]) for one in models], kind="multiclass")
    assert loss(y[:400], seen) < 0.5 * loss(y[:400], found.predictions)  # its own training rows flatter a model
