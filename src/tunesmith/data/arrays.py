"""The rows of arrays and pictures: the user's (X, y), for a built-in model or for one of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.data.asked import takes_missing
from tunesmith.data.numbers import MatrixBlock
from tunesmith.data.pipeline import refuse_rows
from tunesmith.data.plain import PlainBlock
from tunesmith.data.rows import Gathered, Rows, with_sides
from tunesmith.data.sheet import Sheet
from tunesmith.data.sources import as_array, is_frame, is_path, is_table, sheet_of
from tunesmith.data.spec import Array, Block, Column, PictureSet
from tunesmith.records import DataError, Recipe, Task

SEQUENCE_MODELS = ("bag", "lstm", "transformer")


def from_pictures(
    task: Task, recipe: Recipe, found: PictureSet, name: str, val: PictureSet | None, test: PictureSet | None
) -> Gathered:
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
    return with_sides(task, rows)


def pair_of(data: Any, what: str) -> tuple[Any, Any]:
    """The (X, y) of a task."""
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    raise DataError(
        f"{what} is a {type(data).__name__}"
        + (f" of {len(data)}" if hasattr(data, "__len__") else "")
        + "; expected (X, y), a data frame, a Dataset, a DataLoader or the path of a data file"
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
        titles = ["text"] if matrix.shape[1] == 1 else [f"x{index}" for index in range(matrix.shape[1])]
        sheet = sheet_of(dict(zip(titles, matrix.T, strict=True)))
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
    inputs = _inputs(X)
    notices: list[str] = []
    form, blocks = "arrays", list[Block]()
    if own:
        blocks += [PlainBlock([name], recipe.data) for name in inputs]
    else:
        if len(inputs) > 1:
            raise DataError(
                "several arrays need a model of your own that takes a dict; a built-in one takes one X, or a table"
            )
        form, blocks = _built_in_block(next(iter(inputs.values())), task, recipe)
    gathered = Gathered(
        form,
        _array_rows(task, recipe, inputs, y, own, blocks, notices),
        None,
        None,
        blocks,
        ("y",),
        own=own,
        notices=notices,
    )
    for part in ("val", "test"):
        if part in pairs:
            X, y = pairs[part]
            bare = replace(task, sample_weight=None, group=None, time=None, human=None)
            setattr(gathered, part, _array_rows(bare, recipe, _inputs(X), y, own, blocks, notices, part))
    rows = gathered.train
    for other in (gathered.val, gathered.test):
        if other is not None:
            _same_shapes(rows, other)
    if rows.target is not None and rows.target.ndim == 2:
        gathered.names = tuple(f"y{index}" for index in range(rows.target.shape[1]))
    for name, values in rows.table.items():
        shape = "×".join(str(n) for n in values.shape[1:]) or "one number"
        gathered.columns.append(
            Column(name, "picture" if form == "pictures" else "array", 0, None, f"{shape} {values.dtype.name}")
        )
    return gathered


def _inputs(X: Any) -> dict[str, Array]:
    named = X.items() if isinstance(X, Mapping) else [("x", X)]
    return {name: as_array(values, "X" if name == "x" else name) for name, values in named}


def _same_shapes(train: Rows, other: Rows) -> None:
    """Raises `DataError` where the arrays of another part do not look like those to train on."""
    for name, values in train.table.items():
        came = other.table[name].shape[1:] if name in other.table else None
        if came != values.shape[1:]:
            shown = "has none" if came is None else f"has rows of shape {came}"
            raise DataError(
                f"{name} of {other.name} {shown} and the training data have {values.shape[1:]}; bring both in one shape"
            )
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
        kept = not own or takes_missing(task, recipe)
        gaps = np.isnan(target) if kept else np.zeros(1, bool)
        refuse_rows(
            target, np.isinf(target) | (False if kept else np.isnan(target)), f"y of {what}" if part != "train" else "y"
        )
        if gaps.all():
            raise DataError(f"all {len(target)} targets of {what} are missing (NaN); expected at least 2")
    return with_sides(task, Rows(table, target, what))


def _model_array(
    name: str, values: Array, task: Task, recipe: Recipe, own: bool, blocks: Sequence[Block], notices: list[str]
) -> Array:
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
    """The class of the first layer with weights of the user's model; "" for a factory or a class, which is not opened."""
    if isinstance(model, type) or not hasattr(model, "modules"):
        return ""
    for module in model.modules():
        if next(iter(module.parameters(recurse=False)), None) is not None:
            return type(module).__name__
    return ""
