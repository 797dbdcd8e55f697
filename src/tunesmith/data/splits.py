"""Which rows train, which choose, which judge: random, stratified, by group, by time.

A unit is a set of rows that must lie in one part: rows with equal inputs, or rows of one group. Parts are filled to
their share of the rows exactly where units are single rows, and as near as the units allow else. A split depends on
the rows, the shares and the seed alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.data.samplers import largest_remainder
from tunesmith.data.spec import Array, Split
from tunesmith.records import DataError

TRAIN, VAL, TEST = 0, 1, 2
FEWEST = 4  # rows below which nothing is set aside: two to train, one to choose, one to judge


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the rows, for validation and for the final judgement."""

    val: float
    test: float

    def __post_init__(self) -> None:
        if self.val + self.test >= 1:
            raise DataError(
                f"data.val = {self.val} and data.test = {self.test} leave no rows to train on; their sum must be below 1"
            )

    def counts(self, rows: int) -> tuple[int, int]:
        """Rows of val and test: the nearest whole numbers, at least one where a share is asked for."""
        if rows < FEWEST:
            return 0, 0
        val, test = (max(1, round(rows * share)) if share else 0 for share in (self.val, self.test))
        return val, min(test, rows - val - 1)


def random(rows: int, shares: Shares, seed: int, units: Array | None = None) -> Split:
    """A random split; `units` (N,) numbers the rows that must stay together."""
    return _stratified("random", np.zeros(rows, np.int64), shares, seed, units)


def stratified(labels: Array, shares: Shares, seed: int, units: Array | None = None) -> Split:
    """A random split that keeps the shares of the classes `labels` (N,).

    Each class gives each part its share of rows, rounded so that the parts have their size (largest remainders); a
    class of two rows or more keeps one to train on, a class of one row is trained on.
    """
    return _stratified("stratified", labels, shares, seed, units)


def grouped(groups: Array, shares: Shares, seed: int, units: Array | None = None) -> Split:
    """A random split with no group in two parts."""
    numbers = np.unique(groups, return_inverse=True)[1].reshape(-1)
    joined = numbers if units is None else joint(numbers, units)
    parts = 1 + (shares.val > 0) + (shares.test > 0)
    count = len(np.unique(joined))
    if count < parts and len(groups) >= FEWEST:
        raise DataError(
            f"{count} groups cannot be divided into {parts} parts; name a finer group, give validation and test data, "
            "or set data.val or data.test to 0"
        )
    return _filled("group", np.zeros(len(groups), np.int64), shares, seed, joined)


def by_time(times: Array, shares: Shares, seed: int) -> Split:
    """The latest rows judge, those before them choose, the earliest train; rows of one time stay together."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    val, test = shares.counts(len(times))
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # where a part may begin
    if len(starts) < 1 + (val > 0) + (test > 0):
        raise DataError(
            f"the time column has {len(starts)} different values, too few to divide the rows by time; name a finer one"
        )
    begin_test = _nearest(starts[1 + (val > 0) :], len(times) - test) if test else len(times)
    before = starts[(starts > 0) & (starts < begin_test)]
    begin_val = _nearest(before, begin_test - val) if val else begin_test
    ends = (order[:begin_val], order[begin_val:begin_test], order[begin_test:])
    return Split("time", np.sort(ends[0]), np.sort(ends[1]), np.sort(ends[2]), seed)


def _nearest(candidates: Array, wanted: int) -> int:
    return int(candidates[np.argmin(np.abs(candidates - wanted))])


def joint(left: Array, right: Array) -> Array:
    """The finest numbering in which rows with an equal number in `left` or in `right` have equal numbers.

    >>> joint(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])).tolist()
    [0, 0, 0, 3]
    """
    label = np.arange(len(left))
    keys = [np.unique(side, return_inverse=True)[1].reshape(-1) for side in (left, right)]
    while True:  # each round carries the smallest row number one link further
        before = label
        for key in keys:
            lowest = np.full(int(key.max(initial=-1)) + 1, len(left))
            np.minimum.at(lowest, key, label)
            label = lowest[key]
        if np.array_equal(label, before):
            return label


def _stratified(name: str, labels: Array, shares: Shares, seed: int, units: Array | None) -> Split:
    alone = np.arange(len(labels)) if units is None else units
    return _filled(name, np.unique(labels, return_inverse=True)[1].reshape(-1), shares, seed, alone)


def _filled(name: str, labels: Array, shares: Shares, seed: int, units: Array) -> Split:
    """Units of several rows first, each to a part with room for it; then single rows fill every class exactly."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    wanted = _wanted(np.bincount(labels, minlength=1), shares)
    spare = np.maximum(np.bincount(labels, minlength=1) - 1, 0)  # rows of each class that training can do without
    part = np.full(len(labels), TRAIN)
    together, single = _several(units)
    undecided = len(labels)
    for index in rng.permutation(len(together)):
        rows = together[index]
        drawn = rng.random() * undecided  # among the rows left: in validation, in test, or in training
        undecided -= len(rows)
        one = VAL + int(np.searchsorted(np.cumsum(np.maximum(wanted, 0).sum(axis=1)), drawn, side="right"))
        if one <= TEST:
            part[rows] = _placed(one, np.bincount(labels[rows], minlength=len(spare)), wanted, spare)
    for rows in together if np.maximum(wanted, 0).sum() > len(single) else ():  # single rows cannot fill what is open
        for one in (VAL, TEST):
            if part[rows[0]] == TRAIN:
                part[rows] = _placed(one, np.bincount(labels[rows], minlength=len(spare)), wanted, spare)
    for label in range(len(spare)):
        free = rng.permutation(single[labels[single] == label])
        take_val, take_test = _bounded(wanted[:, label], int(spare[label]))
        part[free[:take_val]] = VAL
        part[free[take_val : take_val + take_test]] = TEST
    _fill_empty(part, labels, shares, together)
    return Split(name, np.flatnonzero(part == TRAIN), np.flatnonzero(part == VAL), np.flatnonzero(part == TEST), seed)


def _wanted(counts: Array, shares: Shares) -> Array:
    """Rows of each class for val and test: (2, classes), adding up to the size of each part."""
    sizes = shares.counts(int(counts.sum()))
    spare = np.maximum(counts - 1, 0)
    wanted = np.zeros((2, len(counts)), np.int64)
    for part, size in enumerate(sizes):
        quotas = counts * size / max(1, counts.sum())
        rounded = np.minimum(largest_remainder(quotas, size), spare)
        while rounded.sum() < size and (rounded < spare).any():  # what single-row classes cannot give, others do
            rounded[np.argmax(np.where(rounded < spare, quotas - rounded, -np.inf))] += 1
        wanted[part] = rounded
        spare = spare - rounded
    return wanted


def _several(units: Array) -> tuple[list[Array], Array]:
    """The rows of each unit of two rows or more, and the rows that are a unit alone."""
    _, numbers, sizes = np.unique(units, return_inverse=True, return_counts=True)
    numbers = numbers.reshape(-1)
    single = sizes[numbers] == 1
    rows = np.flatnonzero(~single)
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    together = np.split(rows, np.flatnonzero(np.diff(numbers[rows])) + 1) if len(rows) else []
    return together, np.flatnonzero(single)


def _placed(one: int, sizes: Array, wanted: Array, spare: Array) -> int:
    """`one`, if training can spare the `sizes` rows of each class and that part wants more than half; else TRAIN."""
    open_rows = wanted[one - VAL]
    held = sizes > 0
    wants = np.minimum(sizes, np.maximum(open_rows, 0)).sum() if held.sum() == 1 else np.maximum(open_rows, 0).sum()
    if (sizes > spare)[held].any() or 2 * wants <= sizes.sum():
        return TRAIN
    open_rows -= sizes
    spare -= sizes
    return one


def _bounded(wanted: Array, spare: int) -> tuple[int, int]:
    val = min(max(int(wanted[0]), 0), spare)
    return val, min(max(int(wanted[1]), 0), spare - val)


def _fill_empty(part: Array, labels: Array, shares: Shares, together: Sequence[Array]) -> None:
    """Where a part that was asked for has no rows, the smallest training unit goes there, if training can spare it."""
    for one, share in ((VAL, shares.val), (TEST, shares.test)):
        if not share or len(part) < FEWEST or (part == one).any():
            continue
        left = np.bincount(labels[part == TRAIN], minlength=int(labels.max()) + 1)
        for rows in sorted((rows for rows in together if part[rows[0]] == TRAIN), key=len):
            sizes = np.bincount(labels[rows], minlength=len(left))
            if (sizes < left)[sizes > 0].all():
                part[rows] = one
                break
