"""Rows of a task that are read but not yet encoded, with what stands beside them: targets, weights, groups, times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesmith.data.columns import Reading
from tunesmith.data.pipeline import TargetReading, refuse_rows
from tunesmith.data.sources import as_array
from tunesmith.data.spec import Array, Block, Column
from tunesmith.records import DataError, Finding, Task


@dataclass(slots=True)
class Rows:
    """Rows of one source: read columns or arrays, the raw target, weights, groups and times, in the source's order."""

    table: dict[str, Array]
    target: Array | None
    name: str  # of the source, for people
    weight: Array | None = None
    group: Array | None = None
    time: Array | None = None
    human: Array | None = None  # a second annotation, raw as the target
    part: Array | None = None  # "train", "val" or "test" of each row, where the source says so
    numbers: Array = field(default_factory=lambda: np.empty(0, np.int64))  # row numbers in the source

    def __post_init__(self) -> None:
        if not len(self.numbers):
            self.numbers = np.arange(len(next(iter(self.table.values()))))

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Array) -> Rows:
        """Some of the rows; all of them in order are given without a copy."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        return Rows(
            {name: values[rows] for name, values in self.table.items()},
            None if self.target is None else self.target[rows],
            name=self.name,
            weight=None if self.weight is None else self.weight[rows],
            group=None if self.group is None else self.group[rows],
            time=None if self.time is None else self.time[rows],
            human=None if self.human is None else self.human[rows],
            part=None if self.part is None else self.part[rows],
            numbers=self.numbers[rows],
        )


@dataclass(slots=True)
class Gathered:
    """All rows of a task, and the blocks that will be fitted on those to train on."""

    form: str
    train: Rows
    val: Rows | None
    test: Rows | None
    blocks: list[Block]
    names: tuple[str, ...]  # of the targets
    readings: tuple[Reading, ...] = ()
    target_reading: TargetReading | None = None
    known: tuple[str, ...] = ()
    columns: list[Column] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    own: bool = False  # the user's own arrays for the user's own model


def side_array(given: Any, rows: int, role: str) -> Array:
    """Weights, groups or times that came as an array of their own, as numbers that order or name them."""
    values = as_array(given, role)
    if values.shape != (rows,):
        raise DataError(f"{role} has shape {values.shape} and the data have {rows} rows; expected one value a row")
    if role == "group":
        return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1].reshape(-1)
    if values.dtype.kind in "mM":
        values = (
            values.astype("datetime64[us]" if values.dtype.kind == "M" else "timedelta64[us]")
            .astype(np.int64)
            .astype(np.float64)
        )
    if values.dtype == object:
        raise DataError(f"{role} holds {values[0]!r}; expected numbers" + (" or dates" if role == "time" else ""))
    numbers = np.asarray(values, np.float64)
    refuse_rows(numbers, ~np.isfinite(numbers), role)
    return numbers


def checked_weight(values: Array, places: Callable[[Array], str]) -> Array:
    """Sample weights as float32. Raises for negative ones and for none above 0."""
    bad = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(bad):
        raise DataError(f"sample weights must be 0 or more and {values[bad[0]]:g} came {places(bad)}")
    if not values.any():
        raise DataError("all sample weights are 0; expected at least some above it")
    return values.astype(np.float32)


def with_sides(task: Task, rows: Rows) -> Rows:
    for role, given in (
        ("weight", task.sample_weight),
        ("group", task.group),
        ("time", task.time),
        ("human", task.human),
    ):
        if isinstance(given, str):
            raise DataError(
                f"{role} = {given!r} names a column and the data have none; pass an array with one value a row"
            )
    count = len(rows)
    if task.sample_weight is not None:
        weight = side_array(task.sample_weight, count, "sample_weight")
        rows.weight = checked_weight(
            weight, lambda bad: f"in row {bad[0]}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
        )
    rows.group = None if task.group is None else side_array(task.group, count, "group")
    rows.time = None if task.time is None else side_array(task.time, count, "time")
    rows.human = None if task.human is None else annotation(task.human, count)
    return rows


def annotation(given: Any, rows: int) -> Array:
    """A second annotation that came as an array of its own."""
    values = as_array(given, "human")
    if len(values) != rows:
        raise DataError(f"human has {len(values)} values and the data have {rows} rows; expected one annotation a row")
    return values
