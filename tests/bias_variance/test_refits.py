import random

import numpy as np
import pytest

from tunesmith.doctor.bias_variance import bootstrap, disjoint, fixed_order, predictions_of, refit_of
from tunesmith.records import DataError

X, Y = np.arange(20.0)[:, None], np.arange(20.0)


def test_disjoint_sets_share_no_row_and_are_of_one_size():
    sets = disjoint(np.arange(103), 10, np.random.default_rng(0))

    assert [len(one) for one in sets] == [10] * 10
    assert len(np.unique(np.concatenate(sets))) == 100


def test_disjoint_sets_keep_groups_together():
    units = np.repeat(np.arange(12), 5)

    sets = disjoint(units, 4, np.random.default_rng(0))

    assert all(len(np.unique(units[one])) * 5 == len(one) == 15 for one in sets)


def test_more_disjoint_sets_than_rows_are_refused():
    with pytest.raises(DataError, match=r"5 disjoint training sets .* there are 3 training rows; ask for fewer"):
        disjoint(np.arange(3), 5, np.random.default_rng(0))


def test_bootstrap_samples_hold_about_two_thirds_of_the_rows():
    samples = bootstrap(1000, 20, np.random.default_rng(0))

    assert np.mean([len(np.unique(one)) for one in samples]) == pytest.approx(1000 * (1 - np.exp(-1)), rel=0.02)


def test_sets_of_one_size_share_no_row_while_there_are_enough():
    few, many = fixed_order(100, [20, 60], 5, np.random.default_rng(0))

    assert len(np.unique(np.concatenate(few))) == 100
    assert [len(one) for one in many] == [60] * 5


def test_a_factory_gets_rows_and_a_generator_of_its_own():
    seen = []

    def factory(X, y, rng):
        seen.append((len(X), rng.random()))
        return lambda rows: np.full(len(rows), y.mean())

    found = predictions_of(refit_of(factory, X, Y, X[:3]), [np.arange(5), np.arange(10, 20)], seed=0)

    assert found.tolist() == [[2.0] * 3, [14.5] * 3]
    assert [rows for rows, _ in seen] == [5, 10]
    assert seen[0][1] != seen[1][1]


def test_a_factory_of_two_arguments_and_an_object_with_predict_do():
    class Mean:
        def __init__(self, level):
            self.level = level

        def predict(self, rows):
            return np.full(len(rows), self.level)

    refit = refit_of(lambda X, y: Mean(y.mean()), X, Y, X[:2])

    assert refit(np.array([0, 2]), 0).tolist() == [1.0, 1.0]


def test_the_same_seed_gives_the_same_refits_and_global_generators_stay_as_they_were():
    def factory(X, y):
        noise = random.random() + np.random.random()
        return lambda rows: np.full(len(rows), noise)

    refit = refit_of(factory, X, Y, X[:1])
    before = random.getstate(), np.random.get_state()[1].tolist()

    one, again, other = (predictions_of(refit, [np.arange(3)] * 2, seed) for seed in (1, 1, 2))

    assert one.tolist() == again.tolist() != other.tolist()
    assert one[0] != one[1]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_an_open_random_state_takes_the_seed_and_a_chosen_one_is_kept():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(0)
    wide, y = rng.normal(size=(60, 8)), rng.normal(size=60)
    rows = np.arange(60)

    def answers(tree, seeds):
        refit = refit_of(make_pipeline(StandardScaler(), tree), wide, y, wide + 0.1)
        return [refit(rows, seed).tolist() for seed in seeds]

    open_ = answers(DecisionTreeRegressor(max_features=2), (1, 1, 2))
    chosen = answers(DecisionTreeRegressor(max_features=2, random_state=0), (1, 2))

    assert open_[0] == open_[1] != open_[2]
    assert chosen[0] == chosen[1]


def test_an_error_tells_which_refit_it_was():
    def factory(X, y):
        raise ZeroDivisionError("no rows of class 1")

    with pytest.raises(ZeroDivisionError) as caught:
        predictions_of(refit_of(factory, X, Y, X), [np.arange(4)] * 3, seed=0)

    assert caught.value.__notes__ == ["this was refit 1 of 3, to 4 rows"]


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (dict, "dict came as a class; pass an instance"),
        (3, "the estimator is a int; expected one with fit and predict"),
        (lambda X, y: 3, "the factory gave a int; expected a fitted predictor"),
    ],
)
def test_what_is_no_estimator_is_told(estimator, says):
    with pytest.raises(DataError, match=says):
        refit_of(estimator, X, Y, X)(np.arange(3), 0)
