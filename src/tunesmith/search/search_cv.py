"""`SearchCV`: a scikit-learn estimator that searches its parameters by cross-validation.

It stands where `GridSearchCV`, `RandomizedSearchCV` or a halving search stood, and gives what they give:

    SearchCV(SVC(), {"C": [1, 10], "kernel": ["rbf", "linear"]}, sampler="grid")        # the rows of GridSearchCV
    SearchCV(SVC(), {"C": loguniform(1e-2, 1e3)}, sampler="random", n_trials=60)        # the draws of RandomizedSearchCV
    SearchCV(forest, space, budget="halving", resource="n_samples")                     # few rows first
    SearchCV(SVC(), {"C": Real(1e-2, 1e3, log=True), "gamma": …})                       # a model of what was seen chooses
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state, get_tags

from tunesmith.records import DataError, Trial
from tunesmith.search.ask import Search
from tunesmith.search.cv_resource import ROWS, Constant, Part, Resource, resource_of
from tunesmith.search.cv_rows import Results, Rows
from tunesmith.search.cv_space import Asked, read_space
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.grid import STEPS, points
from tunesmith.search.samplers.observed import every
from tunesmith.search.space import Config

TRIALS = 59  # 1 - 0.95^59 = 95 %: so many random draws reach the best twentieth of a space (Bergstra & Bengio 2012)
FINALISTS = 3  # configurations that are cross-validated on the whole at the end; assumption
ALIASES = {"halving": "successive_halving"}
BLIND = ("grid", "random", "halton", "sobol")  # samplers that do not look at results: all of theirs may run at once


class SearchCV(BaseSearchCV):  # type: ignore[misc]
    """Searches `space` for the parameters of `estimator` with the best cross-validated score, then fits it with them on all rows.

    Parameters
    ----------
    estimator : scikit-learn estimator, or a pipeline (`step__parameter` in the space).
    space : a `Space`; a mapping of names to domains (`Real`, `Int`, …), lists of values or frozen distributions of SciPy; or a list of
        such mappings, of which each configuration comes from one.
    n_trials : configurations that are cross-validated; None: all of a grid, 59 of anything else. With a resource: the work of so many
        whole cross-validations, spread over more configurations.
    sampler : "auto", or a name of the catalogue, such as "grid", "random", "tpe". "auto" goes through a space of no more than `n_trials`
        configurations, and else asks a Gaussian process. "grid" and "random" on lists and distributions give the very candidates of
        `GridSearchCV` and `RandomizedSearchCV`.
    budget : "auto", "full", or another name of the catalogue, such as "halving". Without a resource "auto" and "full" are the same.
    resource : None, "n_samples", or a parameter of the estimator that takes a whole number, such as "n_estimators": what the first
        cross-validations of a configuration have less of. Every score in `best_score_` is one of the whole: `n_resources` in
        `cv_results_` says what a row was given, and only whole ones can be the best.
    min_resource, max_resource : the smallest and the whole amount; a ninth, and all rows or the estimator's own value.
    prior : what is believed good: `{name: value}` or `{name: (value, confidence)}`; tried first, and around it.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score : as in `GridSearchCV`. With several metrics the
        search follows the one that `refit` names, else the first.
    random_state : seed of the search. The same seed, data and `n_jobs` give the same candidates.

    Attributes
    ----------
    best_params_, best_score_, best_estimator_, best_index_, cv_results_, n_splits_, scorer_, refit_time_, multimetric_ : as in
        `GridSearchCV`.
    space_, trials_ : what was searched and what came of it, for `importance`, `report` and the like; scores are negated there.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> search = SearchCV(SVC(), {"kernel": ["linear", "rbf"], "C": [1, 10]}, sampler="grid").fit(*load_iris(return_X_y=True))
    >>> round(float(search.best_score_), 4), search.best_params_
    (0.98, {'C': 1, 'kernel': 'linear'})
    """

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        n_trials: int | None = None,
        sampler: str = "auto",
        budget: str = "auto",
        resource: str | None = None,
        min_resource: int | None = None,
        max_resource: int | None = None,
        prior: Mapping[str, Any] | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_trials = n_trials
        self.sampler = sampler
        self.budget = budget
        self.resource = resource
        self.min_resource = min_resource
        self.max_resource = max_resource
        self.prior = prior
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags = deepcopy(
            get_tags(self.estimator).target_tags
        )  # several targets, a target at all: as it takes them
        return tags

    def _check_input_parameters(self, X: Any, y: Any, split_params: Mapping[str, Any]) -> None:
        """Called by `fit` when the data are known: what a resource of rows needs of them."""
        self._smallest = 1
        self._rows_given = int(X.shape[0]) if hasattr(X, "shape") else len(X)
        if self._by_class():
            folds = self._checked_cv_orig.get_n_splits(X, y, **split_params)
            self._smallest = 2 * folds * len(np.unique(np.asarray(y)))  # as scikit-learn's halving searches

    def _by_class(self) -> bool:
        return bool(is_classifier(self.estimator))

    def fit(self, X: Any, y: Any = None, **params: Any) -> "SearchCV":
        """Searches. `params` go to the estimator's `fit`, the splitter (`groups`) and the scorer, as in `GridSearchCV`."""
        if y is None and get_tags(self.estimator).target_tags.required:
            raise DataError(f"{type(self.estimator).__name__} requires y to be passed, but the target y is None")
        try:
            super().fit(X, y, **params)
        finally:
            for name in ("_rows", "_smallest", "_rows_given"):
                self.__dict__.pop(name, None)
        return self

    def _format_results(self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None) -> Results:
        return self._rows.keep(candidate_params, n_splits, out, more_results)

    def _run_search(self, evaluate_candidates: Callable[..., Any]) -> None:
        asked = read_space(self.space)
        self.space_ = asked.space
        self._rows = Rows(super()._format_results, evaluate_candidates, self.n_splits_, self.error_score)
        drawn_natively = self.sampler == "random" and asked.native is not None  # the state is for its draws alone
        seed = 0 if drawn_natively else int(check_random_state(self.random_state).randint(2**31 - 1))
        resource = self._resource(asked)
        blind = None if resource else self._blind(asked, seed)
        if blind is not None:
            self.trials_ = self._all_at_once(asked, blind)
        else:
            self.trials_ = _Walk(self, asked, self._rows, seed, resource).run()
        self._rows.finish()

    def _resource(self, asked: Asked) -> Resource | None:
        name = self.resource
        if name is None:
            if self.budget in ("auto", "full"):
                return None
            name = ROWS
        elif self.budget == "full":
            raise DataError(f"budget='full' trains on everything and has no use for resource={name!r}; leave one out")
        return resource_of(
            name,
            self.estimator,
            asked.space,
            rows=self._rows_given,
            smallest=self._smallest,
            least=self.min_resource,
            whole=self.max_resource,
        )

    def _blind(self, asked: Asked, seed: int) -> list[tuple[Config, Mapping[str, Any]]] | None:
        """All configurations with their parameters, where none depends on a result; else None."""
        if self.n_trials is not None and self.n_trials < 1:
            raise DataError(f"n_trials is {self.n_trials}; expected 1 or more")
        most = self.n_trials
        if self.sampler == "auto" and asked.space.size <= (most or TRIALS) and self.prior is None:
            return list(islice(grid_of(asked), most))
        if self.sampler == "grid":
            return list(islice(grid_of(asked), most))
        if self.sampler == "random" and asked.native is not None:
            drawn = ParameterSampler(list(asked.native), most or TRIALS, random_state=self.random_state)
            return [(asked.config(params), params) for params in drawn]
        if self.sampler not in BLIND:
            return None
        search = Search(
            asked.space, 1, total=most or TRIALS, sampler=self.sampler, budget="full", seed=seed, prior=self.prior
        )
        configs = [dict(proposal.config) for proposal in _asked_of(search, most or TRIALS)]
        return [(config, asked.params(config)) for config in configs]

    def _all_at_once(self, asked: Asked, blind: Sequence[tuple[Config, Mapping[str, Any]]]) -> list[Trial]:
        told = self._rows.evaluate([params for _, params in blind], Constant(self._checked_cv_orig))
        trials = []
        for id, ((config, _), row) in enumerate(zip(blind, told, strict=True)):
            record, failed = self._record(row)
            made = Trial(id=id, change=dict(config))
            if failed:
                trials.append(replace(made, state="failed", reason=failed))
            else:
                trials.append(replace(made, records=(record,), state="done", spent=1.0))
        return trials

    def _record(self, row: Results) -> tuple[dict[str, float], str]:
        """What a search is told of a row: the score, negated, and seconds; or why there is none."""
        if "reason" in row:
            return {}, str(row["reason"])
        metric = self._metric(row)
        score = float(row[f"mean_test_{metric}"])
        if not math.isfinite(score):
            return {}, f"the mean {metric} is {score}: a fold could not be fitted or scored"
        seconds = self.n_splits_ * float(row["mean_fit_time"] + row["mean_score_time"])
        others = {
            name[len("mean_test_") :]: float(value) for name, value in row.items() if name.startswith("mean_test_")
        }
        others.pop("score", None)
        return {"score": -score, "seconds": seconds, "deviation": float(row[f"std_test_{metric}"]), **others}, ""

    def _metric(self, row: Mapping[str, Any]) -> str:
        """The metric that is followed."""
        named = [name.removeprefix("mean_test_") for name in row if name.startswith("mean_test_")]
        return self.refit if isinstance(self.refit, str) and self.refit in named else named[0]

    @staticmethod
    def _select_best_index(refit: Any, refit_metric: str, results: Mapping[str, Any]) -> Any:
        """The best row; where there is a resource, the best of those that had all of it."""
        if callable(refit) or "n_resources" not in results:
            return BaseSearchCV._select_best_index(refit, refit_metric, results)
        whole = np.flatnonzero(results["n_resources"] == results["n_resources"].max())
        return int(whole[results[f"rank_test_{refit_metric}"][whole].argmin()])


def grid_of(asked: Asked) -> Iterator[tuple[Config, Mapping[str, Any]]]:
    """All combinations: of lists in the order of `ParameterGrid`, of a space in its own, five points of each range."""
    if asked.native is not None and not any(hasattr(value, "rvs") for part in asked.native for value in part.values()):
        for params in ParameterGrid(list(asked.native)):
            yield asked.config(params), params
        return
    space = asked.space
    for config in every(space, {name: points(domain, STEPS) for name, domain in space.items()}):
        if space.allows(config):
            yield config, asked.params(config)


def _asked_of(search: Search, most: int) -> list[Proposal]:
    """Up to `most` proposals at once; fewer where the space or the total ends."""
    found: list[Proposal] = []
    while len(found) < most:
        try:
            found.append(search.ask())
        except Exhausted:
            break
    return found


@dataclass
class _Walk:
    """A search that learns from its results, a batch at a time."""

    owner: SearchCV
    asked: Asked
    rows: Rows
    seed: int
    resource: Resource | None

    def __post_init__(self) -> None:
        owner, resource = self.owner, self.resource
        self.constant = Constant(owner._checked_cv_orig)
        self.work = float(owner.n_trials or TRIALS)
        self.spent = 0.0
        self.round = 0
        self.levelled = owner.budget == "auto"  # one unit a level; other budgets count in powers of three themselves
        budget, sampler = ALIASES.get(owner.budget, owner.budget), owner.sampler
        if sampler != "auto" and budget == "auto":
            SAMPLERS[sampler]  # the error of an unknown one comes first
            budget = "full" if resource is None else "asha"
            self.levelled = resource is None
        units = 1 if resource is None else len(resource.sizes) if self.levelled else 3 ** (len(resource.sizes) - 1)
        self.units = units
        self.search = Search(
            self.asked.space,
            units,
            total=owner.n_trials or TRIALS if resource is None else None,
            sampler=sampler,
            budget="auto" if budget == "full" and sampler == "auto" else budget,
            seed=self.seed,
            prior=owner.prior,
        )

    def run(self) -> list[Trial]:
        """Until the work is done, then the finalists on the whole."""
        jobs = _jobs(self.owner.n_jobs)
        batch = max(1, math.ceil(jobs / self.owner.n_splits_)) if jobs > 1 else 1
        reserve = 0 if self.resource is None else min(FINALISTS, math.ceil(self.work / 4))
        while self.spent < self.work - reserve:
            proposals = _asked_of(self.search, batch)
            if not proposals:
                break
            self._carry_out(proposals)
        if self.resource is not None:
            self._finalists(reserve)
        return list(self.search.trials)

    def _size(self, upto: int) -> int:
        """The resource of so many units."""
        assert self.resource is not None
        if self.levelled:
            return self.resource.sizes[upto - 1]
        return max(self.resource.sizes[0], round(self.resource.whole * upto / self.units))

    def _carry_out(self, proposals: Sequence[Proposal]) -> None:
        """Evaluates together what is to have the same amount, then tells of all in their order."""
        told: dict[int, Results] = {}
        for upto in sorted({proposal.upto for proposal in proposals}):
            group = [proposal for proposal in proposals if proposal.upto == upto]
            for proposal, row in zip(group, self._evaluate(group, upto), strict=True):
                told[proposal.trial] = row
        for proposal in proposals:
            record, failed = self.owner._record(told[proposal.trial])
            missing = proposal.upto - len(self.search.trials.scores(proposal.trial))
            self.search.tell(proposal.trial, [] if failed else [dict(record) for _ in range(missing)], failed=failed)
        self.round += 1

    def _evaluate(self, group: Sequence[Proposal], upto: int) -> list[Results]:
        params = [self.asked.params(proposal.config) for proposal in group]
        if self.resource is None:
            self.spent += len(group)
            return self.rows.evaluate(params, self.constant)
        size = self._size(upto)
        self.spent += len(group) * self.resource.share(size)
        more = {"iter": [self.round] * len(group), "n_resources": [size] * len(group)}
        if self.resource.name == ROWS:
            part = Part(self.constant, size, self.seed, self.owner._by_class())
            return self.rows.evaluate(params, part if size < self.owner._rows_given else self.constant, more)
        return self.rows.evaluate([one | {self.resource.name: size} for one in params], self.constant, more)

    def _finalists(self, most: int) -> None:
        """The best of those that never had the whole, beside those that had: what counts in the end is measured on everything."""
        trials = self.search.trials
        order = sorted((trial.id for trial in trials if trial.state in ("paused", "done")), key=trials.value)
        waiting = [id for id in order[:most] if trials[id].state == "paused"]
        if not order:
            return
        if not waiting and not any(trials[id].state == "done" for id in order):
            waiting = order[:1]
        proposals = [
            Proposal(
                trial=id,
                config=trials[id].change,
                start=len(trials.scores(id)),
                upto=self.units,
                because="one of the best so far, on the whole",
            )
            for id in waiting
        ]
        for proposal in proposals:
            self.search.begin(proposal)
        if proposals:
            self._carry_out(proposals)


def _jobs(asked: int | None) -> int:
    from joblib import effective_n_jobs  # type: ignore[import-untyped]

    return int(effective_n_jobs(asked))
