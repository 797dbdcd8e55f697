"""What is decomposed: rows to train on, rows to judge on, how an estimator is fitted to some of the first and asked of the second."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.data import prepare
from tunesmith.data.live import is_indexed, is_loader, labels_of, tensors_of
from tunesmith.data.sources import as_array, is_frame, is_live, is_table, sheet_of
from tunesmith.data.spec import Array
from tunesmith.data.target import CLASSES, inferred
from tunesmith.doctor.bias_variance.decomposition import Loss
from tunesmith.doctor.bias_variance.refits import Refit, refit_of, taken
from tunesmith.doctor.bias_variance.units import equal_units
from tunesmith.records import DataError, Recipe, Source, Task, revise

Train = Callable[
    [Task, Recipe, int, Any], Array
]  # a task of some rows, its recipe, a seed, inputs -> labels or values of them


@dataclass(frozen=True, slots=True)
class Material:
    """Rows by number: `pool` to train on and `judged` to test on; `target` and `units` are those of all rows."""

    refit: Callable[[Array], Refit]  # from the numbers of the test rows
    target: Array  # (N, …)
    units: Array  # (N,): rows of one number have equal inputs
    together: Array  # (N,): rows of one number come into one training set or test together
    pool: Array
    judged: Array
    loss: Loss
    given: bool  # the test rows were given apart
    told: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def replicates(self) -> tuple[Array, Array]:
        """Targets and units to measure noise from: the test rows where these were given apart, else all."""
        rows = self.judged if self.given else np.arange(len(self.target))
        return self.target[rows], self.units[rows]


def of_arrays(estimator: Any, data: Any, test: Any, target: str | None, loss: str, held: float, seed: int) -> Material:
    """Of a scikit-learn estimator or a factory, and `(X, y)`, or a table with the name of its target."""
    X, y = _pair(data, target, "the data")
    parts = [(X, y)] if test is None else [(X, y), _pair(test, target, "the test data")]
    targets = np.concatenate([_target(part[1], "y") for part in parts])
    inputs = [_comparable(part[0]) for part in parts]
    for (_, labels), rows in zip(parts, inputs, strict=True):
        if len(rows) != len(labels):
            raise DataError(f"X has {len(rows)} rows and y {len(labels)}; expected one target a row")
    units = equal_units(np.concatenate([rows.reshape(len(rows), -1) for rows in inputs]))
    chosen = _loss(loss, _kind_of(estimator, targets), targets)
    rows = np.arange(len(targets))
    pool, judged = _divided(rows, len(y), test is not None, rows, held, seed)

    def refit(places: Array) -> Refit:
        whole = X if test is None else parts[1][0]
        return refit_of(estimator, X, y, taken(whole, places - (0 if test is None else len(y))))

    return Material(refit, targets, units, rows, pool, judged, chosen, test is not None)


def of_task(
    task: Task, recipe: Recipe, train: Train, loss: str, held: float, seed: int, bootstrapped: bool
) -> Material:
    """Of a task: each fit is a training by its recipe. A bootstrap's copies of a row stay on one side of its own split."""
    if is_loader(task.train):
        raise DataError("a DataLoader cannot be divided into rows; pass its Dataset, or (X, y), as the task's train")
    first, rest = _source(task.train, task), None if task.test is None else _source(task.test, task)
    targets = first.target if rest is None else np.concatenate([first.target, rest.target])
    inputs = [first.units] if rest is None else [first.units, rest.units]
    shapes = {part.shape[1:] for part in inputs}
    rows = np.arange(len(targets))
    units = rows if any(part.size == 0 for part in inputs) or len(shapes) > 1 else equal_units(np.concatenate(inputs))
    kind = prepare(replace(task, test=None), recipe).kind
    if kind not in (*CLASSES, "regression", "multi_regression"):
        raise DataError(
            f"a {kind} task has neither a squared nor a 0-1 loss; bias and variance are told of classes and numbers"
        )
    together = rows if first.group is None else np.unique(first.group, return_inverse=True)[1].reshape(-1)
    if rest is not None and first.group is not None:
        together = np.concatenate([together, together.max() + 1 + np.arange(len(rest.target))])
    pool, judged = _divided(rows, len(first.target), rest is not None, together, held, seed)
    told: list[tuple[str, dict[str, Any]]] = [("error_parts.time", {})] if task.time is not None else []
    bare = revise(
        recipe, {"data.test": 0.0, "eval.bootstrap": 0}, Source("derived", "the test rows are set aside here")
    )

    def refit(places: Array) -> Refit:
        asked = first.inputs(places) if rest is None else rest.inputs(places - len(first.target))

        def once(some: Array, own: int) -> Array:
            part = replace(task, train=first.rows(some), test=None, **first.sides(some, bootstrapped))
            seeded = revise(bare, {"train.seed": own % 2**31}, Source("derived", "a seed of its own for each refit"))
            return train(part, seeded, own, asked)

        return once

    chosen = _loss(loss, "multiclass" if kind in CLASSES else "regression", targets)
    return Material(refit, targets, units, together, pool, judged, chosen, rest is not None, tuple(told))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one part of a task in the form in which they came."""

    target: Array
    units: Array  # (N, D): inputs to compare, or of no size where they cannot be compared
    group: Array | None
    rows: Callable[[Array], Any]
    inputs: Callable[[Array], Any]
    sides: Callable[[Array, bool], dict[str, Any]]


def _source(data: Any, task: Task) -> _Rows:
    if is_table(data):
        return _of_table(data, task)
    pair = data if isinstance(data, tuple | list) and len(data) == 2 else tensors_of(data) if is_live(data) else None
    if pair is not None:
        X, y = pair
        return _Rows(
            _target(y, "y"), _flat(X), _side(task.group), lambda some: (taken(X, some), taken(y, some)),
            lambda some: taken(X, some), lambda some, again: _sides(task, some, again, True),
        )  # fmt: skip
    if is_live(data) and is_indexed(data):
        from torch.utils.data import Subset

        labels, complete = labels_of(data)
        if not complete:
            labels = np.array([as_array(data[place][1], "the target") for place in range(len(data))])
        return _Rows(
            labels, np.empty((len(labels), 0)), None, lambda some: Subset(data, some.tolist()),
            lambda some: Subset(data, some.tolist()), lambda some, again: {},
        )  # fmt: skip
    raise DataError(
        f"the task's data came as {data if isinstance(data, str) else type(data).__name__}; "
        "expected (X, y), a table or a table file, or a Dataset whose elements have numbers"
    )


def _of_table(data: Any, task: Task) -> _Rows:
    sheet = sheet_of(data)
    if not isinstance(task.target, str):
        raise DataError("the parts of an error are told of one target; name its column with target=")
    sheet.need(task.target, "target")
    frame = sheet.frame.filter(sheet.frame.get_column(task.target).is_not_null())
    if not len(frame):
        raise DataError(f"target {task.target!r} is missing in all rows of {sheet.name}")
    sides = [name for name in (task.group, task.time, task.sample_weight) if isinstance(name, str)]
    inputs = [name for name in frame.columns if name not in (task.target, *sides, *task.drop)]
    compared = frame.select(inputs).to_numpy() if inputs else np.empty((len(frame), 0))
    group = frame.get_column(task.group).to_numpy() if isinstance(task.group, str) else _side(task.group)
    return _Rows(
        as_array(frame.get_column(task.target).to_numpy(), task.target),
        compared.astype(str) if compared.dtype == object else compared,
        group,
        lambda some: frame[some.tolist()],
        lambda some: frame[some.tolist()].drop(task.target),
        lambda some, again: _sides(task, some, again, task.group is None),
    )


def _side(values: Any) -> Array | None:
    return None if values is None or isinstance(values, str) else as_array(values, "group")


def _sides(task: Task, some: Array, again: bool, groups: bool) -> dict[str, Any]:
    """Arrays beside the rows, of those rows; where rows come several times their number is their group."""
    found = {
        name: taken(as_array(value, name), some)
        for name in ("group", "time", "sample_weight")
        if (value := getattr(task, name)) is not None and not isinstance(value, str)
    }
    if again and groups and "group" not in found and task.time is None and task.val is None:
        found["group"] = some
    return found


def _pair(data: Any, target: str | None, what: str) -> tuple[Any, Any]:
    if isinstance(data, tuple | list) and len(data) == 2:
        X, y = data
        return (np.asarray(X) if isinstance(X, list) else X), _target(y, "y")
    if is_table(data) and target is not None:
        sheet = sheet_of(data)
        sheet.need(target, "target")
        frame = sheet.frame.filter(sheet.frame.get_column(target).is_not_null())
        return frame.drop(target).to_numpy(), as_array(frame.get_column(target).to_numpy(), target)
    expected = "(X, y)" if target is None else "(X, y) or a table"
    raise DataError(f"{what} came as {type(data).__name__}; expected {expected}, or a table with target='column'")


def _comparable(X: Any) -> Array:
    found = X.to_numpy() if is_frame(X) and hasattr(X, "to_numpy") else as_array(X)
    return found.astype(str) if found.dtype == object else found


def _flat(X: Any) -> Array:
    found = _comparable(X)
    return found.reshape(len(found), -1)


def _target(values: Any, what: str) -> Array:
    found = as_array(values, what)
    found = found.reshape(len(found)) if found.ndim == 2 and found.shape[1] == 1 else found
    if found.dtype == object:
        if any(value is None for value in found.reshape(-1).tolist()):
            raise DataError(f"{what} has missing values; leave those rows out")
        return found.astype(str)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise DataError(f"{what} has values that are NaN or infinite; leave those rows out")
    return found


def _kind_of(estimator: Any, target: Array) -> str:
    if hasattr(estimator, "fit"):
        from sklearn.base import is_classifier, is_regressor

        if is_classifier(estimator) or is_regressor(estimator):
            return "multiclass" if is_classifier(estimator) else "regression"
    return inferred(target)[0]


def _loss(asked: str, kind: str, target: Array) -> Loss:
    if asked not in ("auto", "squared", "zero_one"):
        raise DataError(f"no loss called {asked!r} here; expected 'squared', 'zero_one' or 'auto'")
    if kind == "multilabel" and asked == "auto":
        raise DataError(
            "several labels a row have neither a squared nor a 0-1 loss of their own; take one label at a time"
        )
    found: Loss = "zero_one" if asked == "zero_one" or (asked == "auto" and kind in CLASSES) else "squared"
    if found == "squared" and target.dtype.kind not in "fiub":
        raise DataError("a squared loss needs targets that are numbers and these are words; use loss='zero_one'")
    if found == "zero_one" and target.ndim > 1:
        raise DataError(f"a 0-1 loss takes one label a row and the targets have the shape {target.shape}")
    return found


def _divided(rows: Array, first: int, given: bool, together: Array, held: float, seed: int) -> tuple[Array, Array]:
    """Rows to train on and to judge on; those of one number in `together` stay on one side."""
    if given:
        return rows[:first], rows[first:]
    if not 0 < held < 1:
        raise DataError(f"held = {held} came; expected the share of rows to judge on, between 0 and 1")
    names, place = np.unique(together, return_inverse=True)
    count = max(1, round(held * len(names)))
    if count >= len(names):
        raise DataError(f"{len(rows)} rows are too few to set some aside and train on the others")
    judged = np.isin(place.reshape(-1), np.random.default_rng(seed).permutation(len(names))[:count])
    return rows[~judged], rows[judged]


def samples_told(samples: Sequence[Array]) -> float:
    """Different rows in a training set, on average."""
    return float(np.mean([len(np.unique(sample)) for sample in samples]))
