"""Against scikit-learn's own searches: the same rows where they search alike, the same behaviour where they do not."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.stats import loguniform, randint, uniform
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from tunesmith.records import DataError, UnknownName
from tunesmith.search import Choice, Int, Real, Space
from tunesmith.search.cv_resource import Constant, Part, levels, spread_order
from tunesmith.search.cv_space import read_space
from tunesmith.search.search_cv import SearchCV

IRIS = load_iris(return_X_y=True)
SVC_SPACE = {"C": loguniform(1e-2, 1e3), "gamma": loguniform(1e-4, 1e1), "kernel": ["rbf", "linear"]}


def same_rows(ours, theirs):
    """All columns but the times."""
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    for name, column in theirs.cv_results_.items():
        if "time" not in name:
            np.testing.assert_array_equal(np.asarray(ours.cv_results_[name]), np.asarray(column), err_msg=name)
    assert ours.best_index_ == theirs.best_index_
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_
    assert ours.n_splits_ == theirs.n_splits_


class Threshold(ClassifierMixin, BaseEstimator):
    """Says 1 above a threshold; a negative one cannot be fitted. Cheap, and its best parameter is known."""

    def __init__(self, threshold=0.0, copies=1, name="a"):
        self.threshold = threshold
        self.copies = copies
        self.name = name

    def fit(self, X, y, sample_weight=None):
        if self.threshold < 0:
            raise ValueError("the threshold is negative")
        self.classes_ = np.unique(y)
        self.weighted_ = sample_weight is not None
        return self

    def predict(self, X):
        return (np.asarray(X)[:, 0] > self.threshold).astype(int)


def steps(count=60):
    """Rows whose label is 1 above a half."""
    x = np.linspace(0, 1, count, endpoint=False)
    return x[:, None], (x > 0.5).astype(int)


SHUFFLED = KFold(3, shuffle=True, random_state=0)


@parametrize_with_checks(
    [
        SearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
        SearchCV(
            LogisticRegression(), {"C": Real(0.1, 1.0, log=True)}, n_trials=2, cv=2, random_state=0, error_score="raise"
        ),
    ]
)
def test_the_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


class TestInTheirPlace:
    @pytest.mark.parametrize(
        "grid",
        [
            {"var_smoothing": [1e-9, 1e-3, 1e-1]},
            [{"var_smoothing": [1e-9]}, {"var_smoothing": [1e-2, 1e-1], "priors": [None, [0.2, 0.3, 0.5]]}],
            {"var_smoothing": np.logspace(-9, -1, 4), "priors": [None, np.array([0.2, 0.3, 0.5])]},
        ],
    )
    def test_the_rows_of_a_grid_search(self, grid):
        settings = {"cv": 3, "return_train_score": True}

        theirs = GridSearchCV(GaussianNB(), grid, **settings).fit(*IRIS)
        ours = SearchCV(GaussianNB(), grid, sampler="grid", **settings).fit(*IRIS)

        assert [repr(one) for one in ours.cv_results_["params"]] == [repr(one) for one in theirs.cv_results_["params"]]
        for name in ("mean_test_score", "rank_test_score", "std_train_score"):
            np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
        assert repr(ours.best_params_) == repr(theirs.best_params_)

    @pytest.mark.parametrize("seed", [0, 7])
    def test_the_draws_of_a_randomized_search(self, seed):
        space = {"threshold": uniform(0, 1), "copies": randint(1, 9), "name": ["a", "b"]}

        theirs = RandomizedSearchCV(Threshold(), space, n_iter=6, cv=SHUFFLED, random_state=seed).fit(*steps())
        ours = SearchCV(Threshold(), space, n_trials=6, cv=SHUFFLED, sampler="random", random_state=seed).fit(*steps())

        same_rows(ours, theirs)

    def test_several_dicts_of_distributions(self):
        space = [{"threshold": uniform(0, 0.4), "name": ["a"]}, {"threshold": uniform(0.4, 0.6)}]

        theirs = RandomizedSearchCV(Threshold(), space, n_iter=8, cv=SHUFFLED, random_state=3).fit(*steps())
        ours = SearchCV(Threshold(), space, n_trials=8, cv=SHUFFLED, sampler="random", random_state=3).fit(*steps())

        same_rows(ours, theirs)
        assert {trial.change["part"] for trial in ours.trials_} == {0, 1}

    def test_a_small_list_space_is_gone_through_by_default(self):
        grid = {"threshold": [0.2, 0.5, 0.7], "name": ["a", "b"]}

        theirs = GridSearchCV(Threshold(), grid, cv=SHUFFLED).fit(*steps())
        ours = SearchCV(Threshold(), grid, cv=SHUFFLED).fit(*steps())

        same_rows(ours, theirs)

    def test_several_metrics(self):
        settings = {"scoring": ["accuracy", "balanced_accuracy"], "refit": "balanced_accuracy", "cv": SHUFFLED}
        grid = {"threshold": [0.2, 0.5, 0.7]}

        theirs = GridSearchCV(Threshold(), grid, **settings).fit(*steps())
        ours = SearchCV(Threshold(), grid, sampler="grid", **settings).fit(*steps())

        same_rows(ours, theirs)
        assert ours.multimetric_
        assert ours.score(*steps()) == theirs.score(*steps())
        assert set(ours.trials_[0].records[0]) >= {"score", "accuracy", "balanced_accuracy", "seconds"}

    def test_a_callable_of_several_metrics_and_a_callable_choice(self):
        def scoring(estimator, X, y):
            right = float((estimator.predict(X) == y).mean())
            return {"right": right, "wrong": 1 - right}

        def choice(results):
            return int(results["mean_test_wrong"].argmin())

        ours = SearchCV(Threshold(), {"threshold": Real(0, 1)}, n_trials=4, scoring=scoring, refit=choice, cv=SHUFFLED)
        ours.fit(*steps())

        assert ours.best_params_ == ours.cv_results_["params"][int(ours.cv_results_["mean_test_right"].argmax())]
        assert not hasattr(ours, "best_score_")  # as GridSearchCV with a callable

    def test_several_metrics_without_a_named_one_are_refused(self):
        with pytest.raises(ValueError, match="refit"):
            SearchCV(Threshold(), {"threshold": [0.1]}, scoring=["accuracy", "f1"]).fit(*steps())

    def test_without_refit_there_is_a_best_but_no_estimator(self):
        ours = SearchCV(Threshold(), {"threshold": [0.1, 0.5]}, refit=False, cv=SHUFFLED).fit(*steps())

        assert ours.best_params_ == {"threshold": 0.5}
        assert not hasattr(ours, "best_estimator_")
        assert not hasattr(ours, "predict")

    def test_a_pipeline_and_estimators_as_values(self):
        pipeline = make_pipeline(StandardScaler(), GaussianNB())
        grid = {
            "standardscaler": [StandardScaler(), MinMaxScaler(), "passthrough"],
            "gaussiannb__var_smoothing": [1e-9, 1e-2],
        }

        theirs = GridSearchCV(pipeline, grid, cv=3).fit(*IRIS)
        ours = SearchCV(pipeline, grid, cv=3, sampler="halton", n_trials=6, random_state=0).fit(*IRIS)

        assert ours.best_score_ == theirs.best_score_  # all six, in another order
        assert "StandardScaler()" in {trial.change["standardscaler"] for trial in ours.trials_}

    def test_clone_and_pickle(self):
        search = SearchCV(Threshold(), {"threshold": Real(0, 1)}, n_trials=3, cv=SHUFFLED, random_state=0).fit(*steps())

        again = pickle.loads(pickle.dumps(search))

        np.testing.assert_array_equal(again.predict(steps()[0]), search.predict(steps()[0]))
        assert clone(search).get_params()["n_trials"] == 3
        assert not hasattr(clone(search), "best_params_")

    def test_groups_and_weights_reach_their_place(self):
        x, y = steps()
        groups = np.repeat(np.arange(6), 10)
        seen = []

        class Noting(GroupKFold):
            def split(self, X, y=None, groups=None):
                seen.append(groups)
                return super().split(X, y, groups)

        def right(estimator, X, y, sample_weight=None):
            return float(np.average(estimator.predict(X) == y, weights=sample_weight))

        search = SearchCV(
            Threshold(), {"threshold": Real(0, 1)}, n_trials=3, cv=Noting(3), scoring=right, random_state=0
        )
        search.fit(x, y, groups=groups, sample_weight=np.ones(60))

        np.testing.assert_array_equal(seen[0], groups)
        assert search.best_estimator_.weighted_

    def test_metadata_routing(self):
        x, y = steps()
        with config_context(enable_metadata_routing=True):
            estimator = Threshold().set_fit_request(sample_weight=True)
            scoring = make_scorer(accuracy_score).set_score_request(sample_weight=False)
            search = SearchCV(estimator, {"threshold": [0.1, 0.5]}, cv=GroupKFold(3), scoring=scoring)
            search.fit(x, y, sample_weight=np.ones(60), groups=np.repeat(np.arange(6), 10))

        assert search.best_estimator_.weighted_

    def test_raising_errors(self):
        search = SearchCV(Threshold(), {"threshold": Real(-1, 0)}, n_trials=3, cv=SHUFFLED, error_score="raise")

        with pytest.raises(ValueError, match="the threshold is negative"):
            search.fit(*steps())


class TestFailures:
    """Configurations that cannot be fitted are rows with the error score, and the search goes on."""

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("sampler", ["auto", "tpe", "random", "grid"])
    def test_they_do_not_end_the_search(self, sampler):
        search = SearchCV(
            Threshold(), {"threshold": Real(-1, 1)}, n_trials=8, sampler=sampler, cv=SHUFFLED, random_state=0
        )
        with pytest.warns(FitFailedWarning):
            search.fit(*steps())
        negative = np.array([params["threshold"] < 0 for params in search.cv_results_["params"]])

        assert negative.any()
        assert not negative.all()
        np.testing.assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), negative)
        assert [trial.state == "failed" for trial in search.trials_] == negative.tolist()
        assert not negative[search.best_index_]
        assert (search.cv_results_["rank_test_score"][negative] >= search.cv_results_["rank_test_score"].max()).all()

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_a_number_as_error_score_and_several_metrics(self):
        search = SearchCV(
            Threshold(), {"threshold": Real(-1, 1)}, n_trials=6, cv=SHUFFLED, random_state=0, error_score=0.0,
            scoring=["accuracy", "f1"], refit="f1", return_train_score=True,
        )  # fmt: skip
        with pytest.warns(FitFailedWarning, match="the threshold is negative"):
            search.fit(*steps())
        negative = np.array([params["threshold"] < 0 for params in search.cv_results_["params"]])

        assert (search.cv_results_["mean_test_f1"][negative] == 0).all()
        assert (search.cv_results_["mean_train_accuracy"][negative] == 0).all()

    def test_where_nothing_can_be_fitted_the_error_is_theirs(self):
        search = SearchCV(Threshold(), {"threshold": Real(-2, -1)}, n_trials=3, cv=SHUFFLED)

        with pytest.raises(ValueError, match="All the 3 fits failed"):
            search.fit(*steps())

    def test_an_unknown_parameter_is_no_failure(self):
        with pytest.raises(ValueError, match="Invalid parameter 'treshold'"):
            SearchCV(Threshold(), {"treshold": Real(0, 1)}, n_trials=3, cv=SHUFFLED).fit(*steps())


class TestSearching:
    @pytest.mark.parametrize("sampler", ["auto", "tpe", "gp", "halton", "sobol"])
    def test_the_threshold_is_found(self, sampler):
        search = SearchCV(
            Threshold(), {"threshold": Real(0, 1)}, n_trials=14, sampler=sampler, cv=SHUFFLED, random_state=1
        )
        search.fit(*steps())

        assert abs(search.best_params_["threshold"] - 0.5) < 0.1
        assert len(search.cv_results_["params"]) == 14
        best = cross_val_score(Threshold(**search.best_params_), *steps(), cv=SHUFFLED).mean()
        assert search.best_score_ == pytest.approx(best, abs=1e-12)

    def test_the_same_seed_gives_the_same_candidates(self):
        found = [
            SearchCV(Threshold(), {"threshold": Real(0, 1)}, n_trials=7, cv=SHUFFLED, random_state=5).fit(*steps())
            for _ in range(2)
        ]

        same_rows(*found)

    def test_splits_without_a_seed_are_the_same_for_all(self):
        x, y = make_classification(80, flip_y=0.3, random_state=0)
        search = SearchCV(GaussianNB(), {"var_smoothing": Real(1e-9, 1e-8)}, n_trials=5, cv=KFold(3, shuffle=True))
        search.fit(x, y)

        assert np.ptp(search.cv_results_["mean_test_score"]) == 0  # the parameter does nothing here

    def test_the_prior_comes_first(self):
        search = SearchCV(Threshold(), {"threshold": Real(0, 1)}, n_trials=3, prior={"threshold": 0.45}, cv=SHUFFLED)

        assert search.fit(*steps()).cv_results_["params"][0] == {"threshold": 0.45}

    def test_conditions_and_constraints(self):
        space = Space(
            {"name": Choice(["a", "b"]), "copies": Int(1, 9, when=("name", "b")), "threshold": Real(0, 1)},
            ["copies <= 4"],
        )

        found = SearchCV(Threshold(), space, n_trials=10, cv=SHUFFLED, random_state=0).fit(*steps())

        column = found.cv_results_["param_copies"]
        names = [params["name"] for params in found.cv_results_["params"]]
        np.testing.assert_array_equal(column.mask, [name == "a" for name in names])
        assert column.max() <= 4

    def test_jobs_run_at_once_and_all_are_asked(self):
        search = SearchCV(
            Threshold(), {"threshold": Real(0, 1)}, n_trials=5, cv=2, n_jobs=4, random_state=0, sampler="tpe"
        )
        from joblib import parallel_backend

        with parallel_backend("threading"):
            search.fit(*steps())

        assert len(search.trials_) == 5

    @pytest.mark.parametrize(
        ("settings", "error", "match"),
        [
            ({"sampler": "tpee"}, UnknownName, "tpe"),
            ({"budget": "ful"}, UnknownName, "full"),
            ({"n_trials": 0}, DataError, "n_trials is 0"),
            ({"budget": "full", "resource": "n_samples"}, DataError, "leave one out"),
            ({"resource": "n_trees"}, DataError, "no parameter called 'n_trees'"),
            ({"resource": "threshold"}, DataError, "both searched and the resource"),
            ({"resource": "name"}, DataError, "expected a whole number"),
            ({"resource": "n_samples", "max_resource": 61}, DataError, "60 rows"),
        ],
    )
    def test_wrong_settings(self, settings, error, match):
        with pytest.raises(error, match=match):
            SearchCV(Threshold(), {"threshold": Real(0, 1)}, cv=SHUFFLED, **settings).fit(*steps())


class TestResource:
    @pytest.mark.parametrize("settings", [{}, {"budget": "halving"}, {"sampler": "tpe"}])
    def test_the_best_was_measured_on_everything(self, settings):
        x, y = steps(600)
        search = SearchCV(
            Threshold(),
            {"threshold": Real(0, 1)},
            n_trials=8,
            resource="n_samples",
            cv=SHUFFLED,
            random_state=0,
            **settings,
        ).fit(x, y)
        rows = search.cv_results_

        assert set(rows["n_resources"]) <= {67, 200, 600}
        assert rows["n_resources"][search.best_index_] == 600
        whole = rows["n_resources"] == 600
        assert search.best_score_ == rows["mean_test_score"][whole].max()
        assert search.best_score_ == pytest.approx(
            cross_val_score(Threshold(**search.best_params_), x, y, cv=SHUFFLED).mean(), abs=1e-12
        )
        assert rows["n_resources"].sum() / 600 <= 8 + 1
        assert len({params["threshold"] for params in rows["params"]}) > 6  # more configurations than whole trainings

    def test_a_parameter_of_the_estimator(self):
        search = SearchCV(
            RandomForestClassifier(max_depth=2, random_state=0), {"max_features": Int(1, 4)}, n_trials=2, cv=2,
            resource="n_estimators", max_resource=9, min_resource=1, random_state=0,
        ).fit(*IRIS)  # fmt: skip

        assert search.best_params_["n_estimators"] == 9
        assert search.best_estimator_.n_estimators == 9

    def test_levels_and_parts(self):
        assert levels("n_samples", 1000, 100).sizes == (111, 333, 1000)
        assert levels("n_samples", 90, 90).sizes == (90,)
        with pytest.raises(DataError, match="min_resource is 0"):
            levels("n_samples", 90, 0)

    def test_smaller_parts_lie_in_larger_ones_and_keep_the_shares(self):
        x, y = np.zeros((120, 1)), np.repeat([0, 1, 1, 1], 30)
        whole = Constant(KFold(3, shuffle=True, random_state=0))

        small, large = (list(Part(whole, rows, 0, True).split(x, y)) for rows in (24, 60))

        for (train, test), (more, same), (every, kept) in zip(small, large, whole.split(x, y), strict=True):
            assert set(train) < set(more) < set(every)
            np.testing.assert_array_equal(test, kept)
            np.testing.assert_array_equal(same, kept)
            assert abs((y[train] == 0).mean() - (y[every] == 0).mean()) < 0.1

    def test_an_order_is_one_of_all_rows(self):
        order = spread_order(np.array(["a", "b", "b"] * 7), 21, 3)

        assert sorted(order) == list(range(21))


class TestSpaces:
    def test_distributions_become_domains(self):
        space = read_space({"a": uniform(1, 2), "b": loguniform(1e-3, 1), "c": randint(2, 6), "d": [3, 1, 2]}).space

        assert space["a"] == Real(1.0, 3.0)
        assert space["b"] == Real(1e-3, 1.0, log=True)
        assert space["c"] == Int(2, 5)
        assert space["d"].choices == (1, 2, 3)

    @pytest.mark.parametrize(
        ("given", "match"),
        [(5, "came as int"), ([], "empty list"), ({"a": []}, "a is an empty list"), ([{"a": [1]}, 3], "came as list")],
    )
    def test_what_cannot_be_read(self, given, match):
        with pytest.raises(DataError, match=match):
            read_space(given)

    def test_params_go_there_and_back(self):
        asked = read_space([{"a": [StandardScaler(), None]}, {"a": [1, 2, 3], "b": uniform(0, 1)}])
        for config in ({"part": 0, "0:a": "StandardScaler()"}, {"part": 1, "1:a": 2, "1:b": 0.25}):
            assert asked.config(asked.params(config)) == config


class TestIris:
    """What tutorials get with a support vector machine on iris."""

    def test_the_grid(self):
        grid = {"kernel": ["linear", "rbf"], "C": [1, 10, 100], "gamma": [1e-3, 1e-2, 0.1, 1, 10]}

        search = SearchCV(SVC(), grid, cv=5).fit(*IRIS)

        assert search.best_score_ == pytest.approx(0.98)

    def test_four_random_draws(self):
        search = SearchCV(SVC(), SVC_SPACE, n_trials=4, sampler="random", cv=5, random_state=0).fit(*IRIS)

        assert search.best_score_ == pytest.approx(0.98667, abs=1e-5)
