"""What a task brings, as rows that are read but not yet encoded: of tables, of arrays, of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.data.categories import CategoryBlock
from tunesmith.data.columns import Reading, Understood, check_given, missing_in, understand
from tunesmith.data.npz import archive_parts
from tunesmith.data.numbers import MatrixBlock, NumberBlock
from tunesmith.data.pipeline import TargetReading, check_columns, read_columns, refuse_rows
from tunesmith.data.plain import PlainBlock
from tunesmith.data.sheet import Sheet
from tunesmith.data.sources import as_array, is_frame, is_path, is_table, sheet_of
from tunesmith.data.spec import Array, Block, Column, PictureSet
from tunesmith.data.target import inferred
from tunesmith.records import DataError, Finding, Recipe, Task

TARGET_NAMES = ("target", "label", "y", "class")
SEQUENCE_MODELS = ("bag", "lstm", "transformer")


@dataclass(slots=True)
class Rows:
    """Rows of one source: read columns or arrays, the raw target, weights, groups and times, in the source's order."""

    table: dict[str, Array]
    target: Array | None
    name: str  # of the source, for people
    weight: Array | None = None
    group: Array | None = None
    time: Array | None = None
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
        chosen = [None if v is None else v[rows] for v in (self.target, self.weight, self.group, self.time, self.part)]
        table = {name: values[rows] for name, values in self.table.items()}
        return Rows(table, chosen[0], self.name, *chosen[1:], numbers=self.numbers[rows])


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


def from_table(task: Task, recipe: Recipe, sheet: Sheet, val: Sheet | None = None, test: Sheet | None = None) -> Gathered:
    """A table and, where they are given, those of the other parts."""
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
    columns += [Column(name, role, encoding="not a feature", source="given") for role, name in roles.items()
                if name not in {column.name for column in columns}]
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
    for role, name in (("group", task.group), ("time", task.time), ("weight", task.sample_weight)):
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
        kept[name] = replace(kept[name], notices=(f"{name} is different in every row and is used all the same: there is no other feature",))
    return [kept.get(found.column.name, found) for found in seen]


def understand_as_number(sheet: Sheet, name: str) -> bool:
    """Whether every filled cell of the column reads as a number."""
    import polars as pl

    cells = sheet.column(name)
    return cells.dtype != pl.String or not len(Reading(name, "number", "plain").unread(cells))


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
    extra = [name for name in sheet.frame.columns if name not in {*gathered.known, *targets, *(r.name for r in gathered.readings)}]
    if extra:
        gathered.notices.append(f"{sheet.name} has columns that the training data do not have, which are not used: {', '.join(extra[:5])}")
    table = read_columns(sheet, gathered.readings, gathered.notices)
    return _rows(task, sheet, table, gathered.target_reading)


def _rows(task: Task, sheet: Sheet, table: dict[str, Array], reading: TargetReading) -> Rows:
    target = reading.read(sheet)
    if target.dtype.kind == "f" and np.isinf(target).any():
        rows = np.flatnonzero(np.isinf(target).reshape(len(target), -1).any(axis=1))
        raise DataError(f"target {reading.names[0]!r} holds infinite values, {sheet.places(rows)}; expected finite numbers")
    rows = Rows(table, target, sheet.name)
    rows.weight = _role_values(task.sample_weight, sheet, "weight")
    rows.group = _role_values(task.group, sheet, "group")
    rows.time = _role_values(task.time, sheet, "time")
    if rows.weight is not None:
        rows.weight = checked_weight(rows.weight, lambda bad: f"in {sheet.places(bad)}")
    return rows


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
        values = None if role == "weight" else _as_numbers(sheet, given)
        if values is None:
            raise DataError(f"the {role} column {given!r} holds {found.column.kind} values; expected numbers or dates")
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
        raise DataError(f"the {role} column {name!r} is empty in {len(gone)} rows, {sheet.places(gone)}; fill them or leave them out")


def side_array(given: Any, rows: int, role: str) -> Array:
    """Weights, groups or times that came as an array of their own, as numbers that order or name them."""
    values = as_array(given, role)
    if values.shape != (rows,):
        raise DataError(f"{role} has shape {values.shape} and the data have {rows} rows; expected one value a row")
    if role == "group":
        return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1].reshape(-1)
    if values.dtype.kind in "mM":
        values = values.astype("datetime64[us]" if values.dtype.kind == "M" else "timedelta64[us]").astype(np.int64).astype(np.float64)
    if values.dtype == object:
        raise DataError(f"{role} holds {values[0]!r}; expected numbers" + (" or dates" if role == "time" else ""))
    numbers = np.asarray(values, np.float64)
    refuse_rows(numbers, ~np.isfinite(numbers), role)
    return numbers


def checked_weight(values: Array, places: Any) -> Array:
    """Sample weights as float32. Raises for negative ones and for none above 0."""
    bad = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(bad):
        raise DataError(f"sample weights must be 0 or more and {values[bad[0]]:g} came {places(bad)}")
    if not values.any():
        raise DataError("all sample weights are 0; expected at least some above it")
    return values.astype(np.float32)


def from_pictures(task: Task, recipe: Recipe, found: PictureSet, name: str, val: PictureSet | None, test: PictureSet | None) -> Gathered:
    """Pictures with labels, of a folder, an archive or an idx file."""
    from tunesmith.data.pictures import PicturesBlock

    if found.labels is None:
        raise DataError(f"{name} has no labels; expected folders named by class, or the file of labels as labels=…")
    gathered = Gathered(
        form="pictures",
        train=_picture_rows(task, found, name),
        val=None if val is None else _picture_rows(task, val, "the validation pictures"),
        test=None if test is None else _picture_rows(task, test, "the test pictures"),
        blocks=[PicturesBlock(["pictures"], recipe.data, recipe.run.language)],
        names=("class",),
        findings=[finding for one in (found, val, test) if one is not None for finding in one.findings],
        notices=[notice for one in (found, val, test) if one is not None for notice in one.notices],
    )
    size = "×".join(str(n) for n in found.pixels.shape[1:])
    gathered.columns = [Column("pictures", "picture", 0, None, size)]
    return gathered


def _picture_rows(task: Task, found: PictureSet, name: str) -> Rows:
    if found.labels is None:
        raise DataError(f"{name} have no labels; expected folders named by class, or an idx file with its labels")
    rows = Rows({"pictures": found.pixels}, as_array(found.labels, "the labels"), name, part=found.parts)
    return _with_sides(task, rows)


def _with_sides(task: Task, rows: Rows) -> Rows:
    for role, given in (("weight", task.sample_weight), ("group", task.group), ("time", task.time)):
        if isinstance(given, str):
            raise DataError(f"{role} = {given!r} names a column and the data have none; pass an array with one value a row")
    count = len(rows)
    if task.sample_weight is not None:
        weight = side_array(task.sample_weight, count, "sample_weight")
        rows.weight = checked_weight(weight, lambda bad: f"in row {bad[0]}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else ""))
    rows.group = None if task.group is None else side_array(task.group, count, "group")
    rows.time = None if task.time is None else side_array(task.time, count, "time")
    return rows


def pair_of(data: Any, what: str) -> tuple[Any, Any]:
    """The (X, y) of a task."""
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    raise DataError(
        f"{what} is a {type(data).__name__}" + (f" of {len(data)}" if hasattr(data, "__len__") else "") +
        "; expected (X, y), a data frame, a Dataset, a DataLoader or the path of a data file"
    )


def as_sheet(X: Any, y: Any, task: Task) -> tuple[Sheet, Task] | None:
    """Arrays that are really a table (a frame, columns, words) beside their target, or None."""
    if is_table(X) and not is_path(X):
        columns = dict(X) if isinstance(X, Mapping) else None
        if columns is not None and any(as_array(values).ndim != 1 for values in columns.values()):
            return None
        sheet = sheet_of(X)
    else:
        values = as_array(X)
        if values.dtype != object:
            return None
        if values.ndim > 2:
            raise DataError(f"X holds words in {values.ndim} dimensions; expected a text a row, or columns")
        matrix = values.reshape(len(values), -1)
        names = ["text"] if matrix.shape[1] == 1 else [f"x{index}" for index in range(matrix.shape[1])]
        sheet = sheet_of(dict(zip(names, matrix.T, strict=True)))
    target = as_array(y, "y") if not is_frame(y) else None
    if target is None:
        labels = sheet_of(y).frame
    else:
        labels = sheet_of(_label_columns(target, y, set(sheet.frame.columns))).frame
    if labels.height != len(sheet):
        raise DataError(f"X has {len(sheet)} rows and y has {labels.height}; expected as many")
    names = tuple(labels.columns)
    return Sheet(sheet.frame.hstack(labels), sheet.name), replace(task, target=names if len(names) > 1 else names[0])


def _label_columns(target: Array, y: Any, taken: set[str]) -> dict[str, Array]:
    name = str(getattr(y, "name", None) or "target")
    name = name if name not in taken else f"{name} (target)"
    if target.ndim == 1 or target.shape[1] == 1:
        return {name: target.reshape(-1)}
    return {f"{name} {index}": target[:, index] for index in range(target.shape[1])}


def from_arrays(task: Task, recipe: Recipe, pairs: Mapping[str, tuple[Any, Any]]) -> Gathered:
    """The user's (X, y) of each part, for a built-in model or for the user's own."""
    own = not isinstance(task.model, str)
    X, y = pairs["train"]
    inputs = {name: as_array(values, name) for name, values in (X.items() if isinstance(X, Mapping) else [("x", X)])}
    notices: list[str] = []
    form, blocks = "arrays", []
    if own:
        blocks = [PlainBlock([name], recipe.data) for name in inputs]
    else:
        if len(inputs) > 1:
            raise DataError("several arrays need a model of your own that takes a dict; a built-in one takes one X, or a table")
        form, blocks = _built_in_block(next(iter(inputs.values())), task, recipe)
    gathered = Gathered(form, _array_rows(task, recipe, inputs, y, own, blocks, notices), None, None, blocks, ("y",), own=own, notices=notices)
    for part in ("val", "test"):
        if part in pairs:
            X, y = pairs[part]
            other = {name: as_array(values, name) for name, values in (X.items() if isinstance(X, Mapping) else [("x", X)])}
            bare = replace(task, sample_weight=None, group=None, time=None)
            setattr(gathered, part, _array_rows(bare, recipe, other, y, own, blocks, notices, part))
    rows = gathered.train
    for other in (gathered.val, gathered.test):
        if other is not None:
            _same_shapes(rows, other)
    if rows.target is not None and rows.target.ndim == 2:
        gathered.names = tuple(f"y{index}" for index in range(rows.target.shape[1]))
    for name, values in rows.table.items():
        shape = "×".join(str(n) for n in values.shape[1:]) or "one number"
        gathered.columns.append(Column(name, "picture" if form == "pictures" else "array", 0, None, f"{shape} {values.dtype.name}"))
    return gathered


def _same_shapes(train: Rows, other: Rows) -> None:
    """Raises `DataError` where the arrays of another part do not look like those to train on."""
    for name, values in train.table.items():
        came = other.table[name].shape[1:] if name in other.table else None
        if came != values.shape[1:]:
            shown = "has none" if came is None else f"has rows of shape {came}"
            raise DataError(f"{name} of {other.name} {shown} and the training data have {values.shape[1:]}; bring both in one shape")
    assert train.target is not None
    assert other.target is not None
    if train.target.shape[1:] != other.target.shape[1:]:
        raise DataError(
            f"y of {other.name} has rows of shape {other.target.shape[1:]} and the training data {train.target.shape[1:]}; "
            "bring both in one shape"
        )


def _built_in_block(values: Array, task: Task, recipe: Recipe) -> tuple[str, list[Block]]:
    from tunesmith.data.pictures import PicturesBlock, as_pictures

    named = recipe.model.name if recipe.model.name != "auto" else task.model
    if as_pictures(values[:1]) is not None:
        return "pictures", [PicturesBlock(["x"], recipe.data, recipe.run.language)]
    if values.dtype.kind in "iu" and values.ndim == 2 and named in SEQUENCE_MODELS:
        from tunesmith.data.token_rows import TokenBlock

        return "arrays", [TokenBlock(["x"], recipe.data, int(values.max(initial=0)) + 1)]
    if values.ndim > 2:
        return "arrays", [PlainBlock(["x"], recipe.data)]
    return "arrays", [MatrixBlock(["x"], recipe.data)]


def _array_rows(
    task: Task,
    recipe: Recipe,
    inputs: dict[str, Array],
    y: Any,
    own: bool,
    blocks: Sequence[Block],
    notices: list[str],
    part: str = "train",
) -> Rows:
    what = "the arrays" if part == "train" else f"the {part} arrays"
    if y is None:
        raise DataError(f"{what} have no targets; expected (X, y)")
    target = as_array(y, "y")
    table = {}
    for name, values in inputs.items():
        if values.ndim == 0 or len(values) != len(target):
            count = len(values) if values.ndim else "no"
            raise DataError(f"{name} of {what} has {count} rows and y has {len(target)}; expected one target a row")
        if not len(values):
            raise DataError(f"{what} have 0 rows; expected at least 2")
        table[name] = _model_array(name, values, task, recipe, own, blocks, notices)
    if target.dtype.kind == "f":
        gaps = np.isnan(target) if not own else np.zeros(1, bool)
        refuse_rows(target, np.isinf(target) | (np.isnan(target) if own else False), f"y of {what}" if part != "train" else "y")
        if gaps.all():
            raise DataError(f"all {len(target)} targets of {what} are missing (NaN); expected at least 2")
    return _with_sides(task, Rows(table, target, what))


def _model_array(name: str, values: Array, task: Task, recipe: Recipe, own: bool, blocks: Sequence[Block], notices: list[str]) -> Array:
    """An array in a type a model takes, finite; the user's own model decides between whole and real numbers."""
    if values.dtype == object:
        raise DataError(f"{name} holds words; a model of your own takes numbers, or use a built-in model")
    if values.dtype.kind == "f":
        bad = np.isinf(values) if isinstance(blocks[0], MatrixBlock) else ~np.isfinite(values)
        refuse_rows(values, bad, "X" if name == "x" else name)
    if not own:
        if isinstance(blocks[0], MatrixBlock):
            return values.reshape(len(values), -1)
        whole = values.dtype.kind in "iu" and not isinstance(blocks[0], PlainBlock)
        return values if whole else values.astype(_real(recipe), copy=False)
    if values.dtype.kind == "f":
        return values.astype(_real(recipe), copy=False)
    first = first_layer(task.model)
    takes_indices = first in ("Embedding", "EmbeddingBag")
    if values.dtype.kind in "iu" and (takes_indices or (first == "" and values.dtype != np.uint8)):
        return values.astype(np.int64, copy=False)
    notices.append(f"{name} holds {values.dtype.name} and the model takes real numbers: it is given as float")
    return values.astype(_real(recipe))


def _real(recipe: Recipe) -> type[np.floating[Any]]:
    return np.float64 if recipe.train.precision == "fp64" else np.float32


def first_layer(model: Any) -> str:
    """The class of the first layer with weights of the user's model; "" for a factory, which is not opened."""
    if not hasattr(model, "modules"):
        return ""
    for module in model.modules():
        if next(iter(module.parameters(recurse=False)), None) is not None:
            return type(module).__name__
    return ""


def npz_pairs(path: str | Path, task: Task) -> dict[str, tuple[Any, Any]]:
    """The (X, y) of an npz file by part."""
    return dict(archive_parts(path, task.target if isinstance(task.target, str) else None))
