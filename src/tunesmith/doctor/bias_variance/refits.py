"""Training sets drawn from rows, and estimators fitted to each: what they answer on the rows of a test.

Disjoint sets are the clean way: independent training sets of N/R rows, so that what is measured is the error of a training with so many rows.
Bootstrap samples share rows: their spread is that of the bootstrap law, with about 63 % of the rows in each, and stands for the variance only
roughly; with them every fit has N rows to draw from.
"""

import inspect
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import DataError
from tunesmith.records.state import random_state, set_random_state

Refit: TypeAlias = Callable[
    [Array, int], Array
]  # places of the training rows, a seed -> predictions of the test rows (N, …)


def bootstrap(rows: int, refits: int, rng: np.random.Generator) -> list[Array]:
    """Samples of `rows` rows with replacement."""
    return [np.sort(rng.integers(0, rows, rows)) for _ in range(refits)]


def disjoint(units: Array, refits: int, rng: np.random.Generator) -> list[Array]:
    """Sets of rows that share none, of sizes as equal as their units allow; rows of one unit (N,) stay together.

    >>> sets = disjoint(np.arange(10), 3, np.random.default_rng(0))
    >>> [len(one) for one in sets], len(np.unique(np.concatenate(sets)))
    ([3, 3, 3], 9)
    """
    names, count = np.unique(units, return_inverse=True)
    each = len(names) // refits
    if each < 1:
        raise DataError(
            f"{refits} disjoint training sets were asked for and there are {len(names)} training rows; "
            "ask for fewer refits, or for how='bootstrap'"
        )
    order = rng.permutation(len(names))
    return [np.flatnonzero(np.isin(count, order[start : start + each])) for start in range(0, each * refits, each)]


def fixed_order(rows: int, sizes: Sequence[int], repeats: int, rng: np.random.Generator) -> list[list[Array]]:
    """For each size `repeats` sets of that many rows; within a size they share no row where there are enough."""
    found = []
    for size in sizes:
        sets: list[Array] = []
        while len(sets) < repeats:
            order = rng.permutation(rows)
            sets += [np.sort(order[start : start + size]) for start in range(0, rows - size + 1, size)]
        found.append(sets[:repeats])
    return found


def predictions_of(
    refit: Refit, samples: Sequence[Array], seed: int, step: Callable[[int, int], None] = lambda done, of: None
) -> Array:
    """(R, N, …): predictions of the test rows by an estimator refitted to each sample, each with a seed of its own."""
    seeds = np.random.SeedSequence(seed).generate_state(len(samples))
    found = []
    for place, (sample, own) in enumerate(zip(samples, seeds.tolist(), strict=True)):
        try:
            with seeded(own):
                found.append(np.asarray(refit(sample, own)))
        except Exception as error:
            error.add_note(f"this was refit {place + 1} of {len(samples)}, to {len(sample)} rows")
            raise
        step(place + 1, len(samples))
    shapes = {one.shape for one in found}
    if len(shapes) > 1:
        raise DataError(
            f"the refits gave predictions of different shapes ({sorted(shapes)}); expected one for each test row"
        )
    return np.stack(found)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators seeded inside, and as they were after; torch's where somebody uses torch."""
    torch = sys.modules.get("torch")
    before = random_state() if torch is not None else (random.getstate(), np.random.get_state())
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        if torch is not None:
            set_random_state(before)  # type: ignore[arg-type]
        else:
            random.setstate(before[0])  # type: ignore[index]
            np.random.set_state(before[1])  # type: ignore[index]


def refit_of(estimator: Any, X: Any, y: Any, X_test: Any) -> Refit:
    """How an estimator is fitted to rows of (X, y) and asked for `X_test`.

    A scikit-learn estimator is cloned for each fit; every `random_state` in it that is None takes the seed of the fit. Anything else is a
    factory: `f(X, y, rng)` or `f(X, y)` gives the fitted predictor, a callable or something with `predict`.
    """
    if isinstance(estimator, type):
        raise DataError(f"{estimator.__name__} came as a class; pass an instance, {estimator.__name__}()")
    if hasattr(estimator, "fit") and hasattr(estimator, "predict"):
        return lambda rows, seed: _fresh(estimator, seed).fit(taken(X, rows), taken(y, rows)).predict(X_test)
    if not callable(estimator):
        raise DataError(
            f"the estimator is a {type(estimator).__name__}; expected one with fit and predict, a Task, or a factory f(X, y, rng) of predictors"
        )
    wants_rng = _positional(estimator) > 2

    def refit(rows: Array, seed: int) -> Array:
        more = (np.random.default_rng(seed),) if wants_rng else ()
        fitted = estimator(taken(X, rows), taken(y, rows), *more)
        answer = fitted.predict if hasattr(fitted, "predict") else fitted
        if not callable(answer):
            raise DataError(
                f"the factory gave a {type(fitted).__name__}; expected a fitted predictor: a callable, or one with predict"
            )
        given = answer(X_test)
        return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)

    return refit


def taken(data: Any, rows: Array) -> Any:
    """Rows of an array, a tensor or a data frame."""
    if hasattr(data, "iloc"):
        return data.iloc[rows]
    return data[rows.tolist()] if hasattr(data, "columns") else data[rows]


def _fresh(estimator: Any, seed: int) -> Any:
    import copy

    if not hasattr(estimator, "get_params"):
        return copy.deepcopy(estimator)
    from sklearn.base import clone

    made = clone(estimator)
    open_ = [
        name
        for name, value in made.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    return made.set_params(**dict.fromkeys(sorted(open_), seed % 2**31)) if open_ else made


def _positional(factory: Callable[..., Any]) -> int:
    try:
        told = inspect.signature(factory).parameters.values()
    except ValueError:  # of builtins
        return 2
    if any(one.kind is one.VAR_POSITIONAL for one in told):
        return 3
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in told)
