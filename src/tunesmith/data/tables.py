"""The rows of a table: its target, its features, and the columns that divide or weigh the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.data.categories import CategoryBlock
from tunesmith.data.cells import stripped
from tunesmith.data.columns import Reading, Understood, check_given, missing_in, understand
from tunesmith.data.numbers import NumberBlock
from tunesmith.data.pipeline import TargetReading, check_columns, read_columns
from tunesmith.data.rows import Gathered, Rows, annotation, checked_weight, side_array
from tunesmith.data.sheet import Sheet
from tunesmith.data.spec import Array, Block, Column
from tunesmith.data.target import inferred
from tunesmith.records import DataError, Recipe, Task

TARGET_NAMES = ("target", "label", "y", "class")


def from_table(
    task: Task, recipe: Recipe, sheet: Sheet, val: Sheet | None = None, test: Sheet | None = None
) -> Gathered:
    """A table and, where they are given, those of the other parts."""
    if len(sheet) < 2:
        raise DataError(
            f"{sheet.name} has {len(sheet)} row of data; expected at least 2, and 100 or more to learn from"
        )
    check_given(task.columns, sheet)
    for name in task.drop:
        sheet.need(name, "column to drop")
    notices = list(sheet.notices)
    targets = target_names(task, sheet, notices)
    roles = _roles(task, sheet)
    taken = {*targets, *roles.values(), *task.drop}
    seen = [understand(sheet, name, task.columns.get(name)) for name in sheet.frame.columns if name not in taken]
    seen = _some_feature(seen, sheet)
    seen += _time_feature(task, sheet, recipe)
    readings = tuple(found.reading for found in seen if found.reading is not None)
    target_reading = TargetReading.of(sheet, targets)
    columns = [found.column for found in seen]
    columns += [
        Column(name, role, encoding="not a feature", source="given")
        for role, name in roles.items()
        if name not in {column.name for column in columns}
    ]
    columns += [Column(name, "dropped", encoding="not used", source="given") for name in task.drop]
    gathered = Gathered(
        form="table",
        train=_rows(task, sheet, {f.column.name: f.values for f in seen if f.values is not None}, target_reading),
        val=None,
        test=None,
        blocks=table_blocks(readings, recipe, task),
        names=targets,
        readings=readings,
        target_reading=target_reading,
        known=tuple(sorted({*taken, *(f.column.name for f in seen if f.reading is None)} - set(targets))),
        columns=columns,
        findings=[finding for found in seen for finding in found.findings],
        notices=notices + [notice for found in seen for notice in found.notices],
    )
    gathered.val, gathered.test = (_given_rows(task, one, gathered, targets) for one in (val, test))
    return gathered


def target_names(task: Task, sheet: Sheet, notices: list[str]) -> tuple[str, ...]:
    """The target columns. Without a name, a column called target, label, y or class is taken, and that is said."""
    if task.target is not None:
        names = (task.target,) if isinstance(task.target, str) else tuple(task.target)
        for name in names:
            sheet.need(name, "target column")
        return names
    literal = [name for name in sheet.frame.columns if name.strip().casefold() in TARGET_NAMES]
    if len(literal) == 1:
        notices.append(f"the column {literal[0]!r} is taken as the target, by its name; target names another")
        return (literal[0],)
    raise DataError(
        f"{sheet.name} needs a target column and none was named; candidates: {_candidates(sheet, literal)}: "
        "name it with target (on the command line --target)"
    )


def _candidates(sheet: Sheet, literal: Sequence[str]) -> str:
    """Columns that could be a target, the likeliest first: those named like one, then the last and the first."""
    names = sheet.frame.columns
    likely = list(dict.fromkeys([*literal, names[-1], names[0], *reversed(names)]))
    told = []
    for name in likely[:4]:
        reading = TargetReading.of(sheet, (name,))
        values = reading.read(sheet)
        present = values[~missing_in(values)]
        told.append(f"{name!r} ({inferred(present)[0]})" if len(present) else repr(name))
    return ", ".join(told) + (f" … of {len(names)} columns" if len(names) > 4 else "")


def _roles(task: Task, sheet: Sheet) -> dict[str, str]:
    roles = {}
    for role, name in (
        ("group", task.group),
        ("time", task.time),
        ("weight", task.sample_weight),
        ("human", task.human),
    ):
        if isinstance(name, str):
            sheet.need(name, f"{role} column")
            roles[role] = name
    return roles


def _some_feature(seen: list[Understood], sheet: Sheet) -> list[Understood]:
    """Where nothing but identifiers is left, they are the features; nothing at all is an error."""
    if any(found.reading is not None for found in seen):
        return seen
    if not seen:
        raise DataError(f"{sheet.name} has no column beside the target; expected at least one feature")
    names = [found.column.name for found in seen if found.column.kind == "identifier"]
    if not names:
        unused = ", ".join(f"{found.column.name} ({found.column.kind})" for found in seen[:4])
        raise DataError(f"{sheet.name} has no feature that changes: {unused}; expected at least one")
    kept = {}
    for name in names:
        numeric = understand_as_number(sheet, name)
        kept[name] = understand(sheet, name, "number" if numeric else "text")
        kept[name] = replace(
            kept[name],
            notices=(f"{name} is different in every row and is used all the same: there is no other feature",),
        )
    return [kept.get(found.column.name, found) for found in seen]


def understand_as_number(sheet: Sheet, name: str) -> bool:
    """Whether every filled cell of the column reads as a number."""
    import polars as pl

    cells = sheet.column(name)
    if cells.dtype != pl.String:
        return True
    reading, text = Reading(name, "number", "plain"), stripped(cells)
    return not len(reading.unread(text, reading.read(cells, text)))


def _time_feature(task: Task, sheet: Sheet, recipe: Recipe) -> list[Understood]:
    """A date that orders the rows still tells the season and the hour; its trend lies outside what was trained on."""
    if not isinstance(task.time, str) or task.time in (task.drop or ()):
        return []
    found = understand(sheet, task.time, task.columns.get(task.time))
    return [found] if found.reading is not None and found.reading.kind == "date" else []


def table_blocks(readings: Sequence[Reading], recipe: Recipe, task: Task) -> list[Block]:
    """A block for each family of columns."""
    kinds = {reading.name: reading.kind for reading in readings}
    blocks: list[Block] = []
    numbers = [name for name, kind in kinds.items() if kind in ("number", "ordinal", "boolean", "date")]
    if numbers:
        dates = [name for name in numbers if kinds[name] == "date"]
        trendless = [name for name in dates if name == task.time]
        blocks.append(NumberBlock(numbers, recipe.data, dates, trendless))
    categories = [name for name, kind in kinds.items() if kind in ("category", "ordinal")]
    if categories:
        blocks.append(CategoryBlock(categories, recipe.data))
    texts = [name for name, kind in kinds.items() if kind == "text"]
    if texts:
        from tunesmith.data.text import TextBlock

        blocks.append(TextBlock(texts, recipe.data, recipe.run.language))
    return blocks


def _given_rows(task: Task, sheet: Sheet | None, gathered: Gathered, targets: tuple[str, ...]) -> Rows | None:
    if sheet is None:
        return None
    assert gathered.target_reading is not None
    check_columns(sheet, [reading.name for reading in gathered.readings])
    gathered.notices.extend(sheet.notices)
    extra = [
        name
        for name in sheet.frame.columns
        if name not in {*gathered.known, *targets, *(r.name for r in gathered.readings)}
    ]
    if extra:
        gathered.notices.append(
            f"{sheet.name} has columns that the training data do not have, which are not used: {', '.join(extra[:5])}"
        )
    table = read_columns(sheet, gathered.readings, gathered.notices)
    return _rows(task, sheet, table, gathered.target_reading)


def _rows(task: Task, sheet: Sheet, table: dict[str, Array], reading: TargetReading) -> Rows:
    target = reading.read(sheet)
    if target.dtype.kind == "f" and np.isinf(target).any():
        rows = np.flatnonzero(np.isinf(target).reshape(len(target), -1).any(axis=1))
        raise DataError(
            f"target {reading.names[0]!r} holds infinite values, {sheet.places(rows)}; expected finite numbers"
        )
    out = Rows(table, target, sheet.name)
    out.weight = _role_values(task.sample_weight, sheet, "weight")
    out.group = _role_values(task.group, sheet, "group")
    out.time = _role_values(task.time, sheet, "time")
    out.human = _human(task.human, sheet)
    if out.weight is not None:
        out.weight = checked_weight(out.weight, lambda bad: f"in {sheet.places(bad)}")
    return out


def _human(given: Any, sheet: Sheet) -> Array | None:
    """A second annotation: of a column, or an array beside the table."""
    if given is None or (isinstance(given, str) and given not in sheet.frame.columns):
        return None
    return TargetReading.of(sheet, (given,)).read(sheet) if isinstance(given, str) else annotation(given, len(sheet))


def _role_values(given: Any, sheet: Sheet, role: str) -> Array | None:
    """Weights, groups or times: of a column, or an array beside the table."""
    if given is None:
        return None
    if not isinstance(given, str):
        return side_array(given, len(sheet), role)
    if given not in sheet.frame.columns:  # validation and test data need no weights, groups or times
        return None
    if role == "group":
        values = Reading(given, "category").read(sheet.column(given))
        _refuse_missing(values, sheet, given, role)
        return np.unique(values.astype(str), return_inverse=True)[1].reshape(-1)
    found = understand(sheet, given, "number" if role == "weight" else None)
    if found.values is None or (found.reading is not None and found.reading.kind in ("category", "text")):
        numbers = None if role == "weight" else _as_numbers(sheet, given)
        if numbers is None:
            raise DataError(f"the {role} column {given!r} holds {found.column.kind} values; expected numbers or dates")
        values = numbers
    else:
        values = found.values
    _refuse_missing(values, sheet, given, role)
    return values


def _as_numbers(sheet: Sheet, name: str) -> Array | None:
    """A column that is no feature (it counts the rows) may well order them."""
    return understand(sheet, name, "number").values if understand_as_number(sheet, name) else None


def _refuse_missing(values: Array, sheet: Sheet, name: str, role: str) -> None:
    gone = np.flatnonzero(missing_in(values))
    if len(gone):
        raise DataError(
            f"the {role} column {name!r} is empty in {len(gone)} rows, {sheet.places(gone)}; fill them or leave them out"
        )
