"""Nets trained on parts of the rows, and what each says of rows that it was not trained on.

Breiman, Bagging Predictors, Machine Learning 24 (1996) 123; out-of-fold predictions: Stone, Cross-Validatory Choice, Journal
of the Royal Statistical Society B 36 (1974) 111. A fold is honest where no row that is held out, none of its group and
none of its future was trained on. Rows with equal inputs are one group: number them alike, or join them to the groups that
there are by `tunesmith.data.splits.joint`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles.averaging import Averaged, Predictor, checked
from tunesmith.records import DataError

Fit = Callable[[Array], Predictor]


class Fold(NamedTuple):
    """Row numbers: those to train on, and those that are held out."""

    train: Array
    held: Array


def plain(rows: int, folds: int, seed: int = 0) -> list[Fold]:
    """`folds` random parts of the rows 0 to `rows` - 1, equal but for one row; each is held out once.

    Raises `DataError` for less than two folds or fewer rows than folds.

    >>> [len(fold.held) for fold in plain(7, 3)]
    [3, 2, 2]
    """
    _check_count(folds, rows, "rows")
    return stratified(np.zeros(rows, np.int64), folds, seed)


def stratified(labels: Any, folds: int, seed: int = 0) -> list[Fold]:
    """Random parts, equal but for one row, each with the share of every class that all rows have, but for one row.

    `labels` (N,). The rows of each class are dealt out in turn, and the next class goes on where the last one ended. A class
    with fewer rows than there are folds is absent from some. Raises `DataError` as `plain` does.

    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> [np.bincount(labels[fold.held]).tolist() for fold in stratified(labels, 2)]
    [[2, 1], [2, 1]]
    """
    kinds = _numbered(labels, "labels")
    _check_count(folds, len(kinds), "rows")
    mixed = _generator(seed).permutation(len(kinds))
    dealt = mixed[np.argsort(kinds[mixed], kind="stable")]
    part = np.empty(len(kinds), np.int64)
    part[dealt] = np.arange(len(kinds)) % folds
    return _held_by_part(part, folds)


def grouped(groups: Any, folds: int, seed: int = 0) -> list[Fold]:
    """Parts of about equal size with no group in two of them: the largest group first, each to the part that has least.

    `groups` (N,) names the group of each row. Groups of one size come in random order. Raises `DataError` for fewer groups
    than folds.

    >>> sorted(fold.held.tolist() for fold in grouped(["a", "b", "a", "c"], 2))
    [[0, 2], [1, 3]]
    """
    numbers = _numbered(groups, "groups")
    sizes = np.bincount(numbers)
    _check_count(folds, len(sizes), "groups")
    mixed = _generator(seed).permutation(len(sizes))
    load, place = np.zeros(folds, np.int64), np.empty(len(sizes), np.int64)
    for group in mixed[np.argsort(-sizes[mixed], kind="stable")]:
        place[group] = np.argmin(load)
        load[place[group]] += sizes[group]
    return _held_by_part(place[numbers], folds)


def by_time(times: Any, folds: int, groups: Any = None) -> list[Fold]:
    """The rows in `folds` + 1 blocks of time; each block but the first is held out, after training on all that lies before it.

    `times` (N,), numbers or dates; rows of one time stay together, so that training ends strictly before what is held out
    begins. With `groups` (N,) a fold trains on no group that it holds out. The rows of the first block are never held out.
    Raises `DataError` for fewer different times than blocks, for a time that is missing, and where groups leave a fold nothing
    to train on.

    >>> [(fold.train.tolist(), fold.held.tolist()) for fold in by_time([10, 20, 30], 2)]
    [([0], [1]), ([0, 1], [2])]
    """
    when = _moments(times)
    _check_count(folds, int(when.max(initial=-1)), "different times after the first", least=1)
    block = _blocks(np.bincount(when), folds + 1)[when]
    named = None if groups is None else _numbered(groups, "groups", len(when))
    found = []
    for number in range(1, folds + 1):
        held, before = block == number, block < number
        if named is not None:
            before &= ~np.isin(named, named[held])
        if not before.any():
            raise DataError(
                f"block {number} of the time holds out every group that comes before it, which leaves nothing to train on; "
                "take fewer folds, or leave the groups out"
            )
        found.append(Fold(np.flatnonzero(before), np.flatnonzero(held)))
    return found


def bootstrap(rows: int, count: int, seed: int = 0) -> list[Fold]:
    """`count` samples of as many rows as there are, drawn with replacement; held out is what a sample did not draw.

    About 1 / e of the rows, 0.368, are held out by each. A row is repeated in `train` as often as it was drawn. Raises
    `DataError` for fewer than two rows.
    Source: Breiman (1996), section 2; out-of-bag: Breiman, Out-of-bag Estimation (1996).

    >>> fold = bootstrap(1000, 1)[0]
    >>> len(fold.train), 0.33 < len(fold.held) / 1000 < 0.41
    (1000, True)
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1 or rows < 2:
        raise DataError(f"count = {count!r} of {rows!r} rows: one sample or more, of two rows or more, were expected")
    rng = _generator(seed)
    drawn: list[Fold] = []
    while len(drawn) < count:
        train = np.sort(rng.integers(0, rows, rows))
        held = np.setdiff1d(np.arange(rows), train)
        if len(held):  # a sample of all rows, which few rows give at times, holds none out
            drawn.append(Fold(train, held))
    return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Bagged:
    """The models of all folds, and what they say of rows that they did not see.

    `predictions` (N, K) or (N,): the mean over the folds that hold a row out, nan where none does. `held` (N,): how many folds
    hold it out. Calling it averages the models for new inputs. `notices` are for a person to read.
    """

    models: Averaged
    predictions: Array
    held: Array
    notices: tuple[str, ...]

    @property
    def rows(self) -> Array:
        """The numbers of the rows that have a prediction: score these."""
        return np.flatnonzero(self.held)

    def __call__(self, inputs: Any) -> Array:
        """The equal average over the models of all folds, (N, K) or (N,). Raises `DataError` as `average` does."""
        return self.models(inputs)


def bag(
    fit: Fit,
    take: Callable[[Array], Any],
    folds: Sequence[Fold],
    *,
    kind: str,
    rows: int,
    groups: Any = None,
    times: Any = None,
) -> Bagged:
    """Trains a model a fold, in order, and asks each of the rows that it holds out.

    `fit(train)` gets row numbers and gives a predictor: inputs to predictions (n, K) or (n,), as `average` takes them for the
    `kind`. `take(numbers)` gives the inputs of rows: `X.__getitem__`, `frame.iloc.__getitem__`. What `fit` chooses, a number of
    epochs or a temperature, it must choose on its own training rows too, or the predictions are not honest. `groups` and
    `times` (N,) are checked against the folds where they are given.

    Raises `DataError` for folds that are not honest (`check_honest`) and predictions that do not fit the rows.

    >>> y = np.array([0.0, 2.0, 4.0])
    >>> def fit(train):
    ...     return lambda inputs: np.full(len(inputs), y[train].mean())
    >>> found = bag(fit, y.__getitem__, by_time([1, 2, 3], 2), kind="regression", rows=3)
    >>> found.predictions.tolist(), found(np.zeros(1)).tolist()
    ([nan, 0.0, 1.0], [0.5])
    >>> found.notices
    ('1 of 3 rows is held out by no fold and has no prediction (nan)',)
    """
    check_honest(folds, rows, groups=groups, times=times)
    predictors: list[Predictor] = []
    total: Array | None = None
    for number, fold in enumerate(folds):
        predictor = fit(fold.train)
        told = _told(predictor(take(fold.held)), fold, number, kind)
        total = np.zeros((rows, *told.shape[1:])) if total is None else total
        if total.shape[1:] != told.shape[1:]:
            raise DataError(
                f"the model of fold {number} predicts rows of shape {told.shape[1:]} and that of fold 0 of {total.shape[1:]}; "
                "give every model all classes, also those that its fold lacks"
            )
        total[fold.held] += told
        predictors.append(predictor)
    assert total is not None
    held = np.bincount(np.concatenate([fold.held for fold in folds]), minlength=rows)
    with np.errstate(invalid="ignore"):
        mean = total / held.reshape(-1, *(1,) * (total.ndim - 1))
    models = Averaged(predictors=tuple(predictors), kind=kind)
    return Bagged(models=models, predictions=mean, held=held, notices=tuple(_notices(held)))


def check_honest(folds: Sequence[Fold], rows: int, *, groups: Any = None, times: Any = None) -> None:
    """Raises `DataError` where a fold trains on a row it holds out, on one of the same group, or on one not older than it.

    Also for no fold at all, a fold without rows, and row numbers that no row has or that are held out twice by one fold.

    >>> check_honest([Fold(np.array([0, 1]), np.array([1]))], 2)
    Traceback (most recent call last):
    tunesmith.records.errors.DataError: fold 0 trains on row 1 and holds it out; take the row out of one of the two
    """
    if not folds:
        raise DataError("there are no folds; make some, such as stratified(labels, 5)")
    named = None if groups is None else _numbered(groups, "groups", rows)
    when = None if times is None else _moments(times, rows)
    for number, (train, held) in enumerate(folds):
        if not len(train) or not len(held):
            raise DataError(f"fold {number} has {len(train)} rows to train on and holds out {len(held)}; both need one")
        for part in (train, held):
            if np.asarray(part).dtype.kind not in "iu" or np.min(part) < 0 or np.max(part) >= rows:
                raise DataError(f"fold {number} names rows that are not among 0 to {rows - 1}; give row numbers")
        if len(np.unique(held)) < len(held):
            raise DataError(f"fold {number} holds a row out twice; name each once")
        both = np.intersect1d(train, held)
        if len(both):
            raise DataError(
                f"fold {number} trains on row {both[0]} and holds it out; take the row out of one of the two"
            )
        if named is not None and (shared := np.isin(named[held], named[train])).any():
            group = np.asarray(groups)[np.asarray(held)[shared][0]]
            raise DataError(
                f"fold {number} trains on rows of group {group!s} and holds out others of it; make the folds by "
                "grouped(groups, …)"
            )
        if when is not None and when[train].max() >= when[held].min():
            latest, first = (
                np.asarray(times)[place] for place in (train[when[train].argmax()], held[when[held].argmin()])
            )
            raise DataError(
                f"fold {number} trains on a row of the time {latest!s} and holds out one of {first!s}, which is not later; "
                "make the folds by by_time(times, …)"
            )


def _told(given: Any, fold: Fold, number: int, kind: str) -> Array:
    told = np.asarray(given, dtype=np.float64)
    if told.shape[:1] != (len(fold.held),):
        raise DataError(
            f"the model of fold {number} gives predictions of shape {told.shape} for {len(fold.held)} rows; one for each "
            "row was expected"
        )
    try:
        return np.asarray(checked([told], kind)[0])
    except DataError as error:
        raise DataError(f"fold {number}: {error}") from error


def _notices(held: Array) -> list[str]:
    missing = int((held == 0).sum())
    if not missing:
        return []
    verb, has = ("is", "has") if missing == 1 else ("are", "have")
    return [f"{missing} of {len(held)} rows {verb} held out by no fold and {has} no prediction (nan)"]


def _blocks(counts: Array, blocks: int) -> Array:
    """The block of each time: about as many rows in each, at least one time in each. `counts` are the rows of each time."""
    before = np.r_[0, np.cumsum(counts)]
    starts = [0]
    for number in range(1, blocks):
        least, most = starts[-1] + 1, len(counts) - (blocks - number)  # a time is left for each block to come
        nearest = int(np.argmin(np.abs(before[least : most + 1] - before[-1] * number / blocks)))
        starts.append(least + nearest)
    return np.asarray(np.searchsorted(starts, np.arange(len(counts)), side="right") - 1)


def _held_by_part(part: Array, folds: int) -> list[Fold]:
    return [Fold(np.flatnonzero(part != number), np.flatnonzero(part == number)) for number in range(folds)]


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def _check_count(folds: int, available: int, what: str, least: int = 2) -> None:
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < least:
        raise DataError(f"folds = {folds!r}: a whole number of {least} or more was expected")
    if available < folds:
        raise DataError(f"{max(available, 0)} {what} cannot make {folds} folds; take fewer folds")


def _numbered(values: Any, what: str, rows: int | None = None) -> Array:
    """Whole numbers (N,) for the values, equal for equal ones and in their order; all missing ones are equal."""
    given = np.asarray(values)
    if given.ndim != 1 or rows not in (None, len(given)):
        wanted = "one a row" if rows is None else f"{rows}, one a row"
        raise DataError(f"there are {what} of shape {given.shape}; {wanted}, were expected")
    try:
        return np.unique(given, return_inverse=True)[1].reshape(-1)
    except TypeError as error:
        raise DataError(
            f"the {what} cannot be compared with each other ({error}); give numbers, dates or texts alone"
        ) from error


def _moments(times: Any, rows: int | None = None) -> Array:
    """Times (N,) by their order. A missing one would be later than all others without being so."""
    given = np.asarray(times)
    missing = np.flatnonzero(given != given)
    if len(missing):
        raise DataError(f"the time of row {missing[0]} is missing; leave the row out, or give it a time")
    return _numbered(given, "times", rows)
