"""From what a task brings to a `Material`: read as a training would read it, but what a training would refuse is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.data.columns import Reading, missing_in, understand
from tunesmith.data.language.reading import is_text
from tunesmith.data.pipeline import TargetReading
from tunesmith.data.prepare import gather, planned_split
from tunesmith.data.rows import Gathered, annotation
from tunesmith.data.sheet import Sheet
from tunesmith.data.sources import as_array, is_live, is_path, is_table, sheet_of
from tunesmith.data.spec import Array, Column, Split
from tunesmith.data.tables import target_names, understand_as_number
from tunesmith.data.target import CLASSES, Target, inferred, labels_of, understood
from tunesmith.doctor.audits.material import Material, View
from tunesmith.records import DataError, Recipe, Task
from tunesmith.records.clock import Clock

PARTS = ("train", "val", "test")
READ_OUT = 20_000  # rows of a Dataset or DataLoader that are read for the audits; assumption


def material_of(task: Task, recipe: Recipe | None = None, *, clock: Clock | None = None) -> Material:
    """The data of a task, for the audits. Raises `DataError` only for what cannot be read at all."""
    settled = Recipe() if recipe is None else recipe
    found = _read(task, settled)
    found.recipe, found.seed = settled, settled.train.seed
    found.clock = Clock() if clock is None else clock
    return found


def _read(task: Task, recipe: Recipe) -> Material:
    if is_text(task):
        return _samples(task, recipe)
    if is_live(task.train):
        return _live(task)
    if is_path(task.train) and not is_table(task.train) and Path(task.train).suffix.lower() != ".npz":
        return _pictures(task, recipe)
    if is_table(task.train):
        return _table(task, recipe, {part: sheet_of(data) for part, data in _given(task).items()})
    return _arrays(task, recipe)


def _samples(task: Task, recipe: Recipe) -> Material:
    """Text to learn from: each sample is one text, divided as a training would divide it."""
    from tunesmith.data.language.prepare import as_texts, divided
    from tunesmith.data.language.reading import read_samples

    readings = {part: read_samples(data, bad_rows=recipe.data.bad_rows) for part, data in _given(task).items()}
    notices = [notice for reading in readings.values() for notice in reading.notices]
    samples, _ = divided(readings, recipe, notices)
    views = {}
    for part, held in samples.items():
        if held:
            name = readings.get(part, readings["train"]).name
            rows = np.array([sample.row for sample in held], np.int64)
            views[part] = View(part, name, {"text": as_texts(held)}, None, None, rows)
            views[part].planned = part not in readings
    columns = {"text": Column("text", "text")}
    made = Material(readings["train"].name, "table", "language", views, (), (), columns, notices=notices)
    made.kept("samples", lambda: list(samples["train"]))
    return made


def _given(task: Task) -> dict[str, Any]:
    return {part: getattr(task, part) for part in PARTS if getattr(task, part) is not None}


def _table(task: Task, recipe: Recipe, sheets: Mapping[str, Sheet]) -> Material:
    train = sheets["train"]
    notices: list[str] = list(train.notices)
    try:
        targets = target_names(task, train, notices)
    except DataError as error:
        if task.target is not None:
            raise
        targets = ()
        notices.append(f"no target is known, and what needs one is left out: {error}")
    roles = {
        role: getattr(task, "sample_weight" if role == "weight" else role)
        for role in ("group", "time", "weight", "human")
    }
    roles = {role: name for role, name in roles.items() if isinstance(name, str)}
    for name in (*task.drop, *roles.values()):
        train.need(name)
    seen = [name for name in train.frame.columns if name not in {*targets, *task.drop, roles.get("human")}]
    columns, readings = {}, {}
    for name in seen:
        columns[name], readings[name] = _column(train, name, task.columns.get(name))
    reading = TargetReading.of(train, targets) if targets else None
    views = {}
    for part, sheet in sheets.items():
        table = {name: readings[name].read(sheet.column(name)) for name in seen if name in sheet.frame.columns}
        target = None if reading is None or not set(targets) <= set(sheet.frame.columns) else reading.read(sheet)
        views[part] = View(part, sheet.name, table, target, None, np.arange(len(sheet)), sheet=sheet)
        for role, name in roles.items():
            if name in table:
                setattr(views[part], role, _role(role, table[name]))
        if roles.get("human") in sheet.frame.columns:
            views[part].human = TargetReading.of(sheet, (roles["human"],)).read(sheet)
    _side_arrays(task, views["train"])
    made = Material(train.name, "table", "", views, (), tuple(targets), columns, roles, notices=notices)
    _understand_target(made, task)
    given: dict[str, Any] = dict(sheets)
    bare = replace(task, **given)
    return _planned(made, task, recipe, lambda: planned_split(gather(bare, recipe), bare, recipe))


def _column(sheet: Sheet, name: str, given: str | None) -> tuple[Column, Reading]:
    """What a column is and how its cells are read, whatever they hold."""
    try:
        found = understand(sheet, name, given)
    except DataError:  # infinite numbers, nested cells: an audit tells of them
        return Column(name, "number"), Reading(name, "number")
    if found.reading is not None:
        return found.column, found.reading
    return found.column, Reading(name, "number" if understand_as_number(sheet, name) else "category")


def _role(role: str, values: Array) -> Array:
    if role == "group" or values.dtype == object:
        words = np.array(["" if value is None else str(value) for value in values.tolist()])
        codes = np.unique(words, return_inverse=True)[1].reshape(-1)
        return codes.astype(np.int64 if role == "group" else np.float64)
    return values


def _side_arrays(task: Task, view: View) -> None:
    for role, given in (("group", task.group), ("time", task.time), ("weight", task.sample_weight)):
        if given is not None and not isinstance(given, str):
            values = as_array(given, role)
            if len(values) != len(view):
                raise DataError(
                    f"{role} has {len(values)} values and the data have {len(view)} rows; expected one a row"
                )
            setattr(view, role, _role(role, values))
    if task.human is not None and not isinstance(task.human, str):
        view.human = annotation(task.human, len(view))


def _understand_target(made: Material, task: Task) -> None:
    """Kind, classes and codes; where a training would refuse the target, as far as they can be told."""
    values = made.train.target
    if values is None or 0 in values.shape[1:]:
        return
    gone = (
        missing_in(values.reshape(len(values), -1)[:, 0]) if values.dtype.kind in "fO" else np.zeros(len(values), bool)
    )
    present = values[~gone]
    if not len(present):
        made.refusal = "the target is missing in every row"
        return
    try:
        target, _ = understood(present, made.targets or ("y",), task.kind, task.positive)
    except DataError as error:
        made.refusal = str(error)
        kind = task.kind if task.kind != "auto" else inferred(present)[0]
        labels = tuple(dict.fromkeys(labels_of(present))) if kind in CLASSES and present.ndim == 1 else None
        target = Target(kind, made.targets or ("y",), labels)
    made.kind, made.classes = target.kind, tuple(target.classes or ())
    if made.kind not in CLASSES:
        return
    known = {label: code for code, label in enumerate(made.classes)}
    for view in made.parts.values():
        if view.target is not None and view.target.ndim == 1:
            listed = [None if _gap(value) else value for value in view.target.tolist()]
            whole = [int(v) if isinstance(v, float) and v == int(v) else v for v in listed]
            view.codes = np.fromiter((known.get(label, -1) for label in whole), np.int64, len(whole))


def _gap(value: Any) -> bool:
    return value is None or value != value or value in (float("inf"), float("-inf"))


def _planned(made: Material, task: Task, recipe: Recipe, plan: Callable[[], Split]) -> Material:
    """Parts that the recipe divides off the training rows, where a training would."""
    if made.train.target is None:
        return made
    try:
        split = plan()
    except DataError as error:
        made.refusal = made.refusal or str(error)
        return made
    source = made.train
    place = np.full(int(source.rows.max()) + 1, -1)
    place[source.rows] = np.arange(len(source))
    parts = dict(made.parts)
    for part in PARTS:
        rows = getattr(split, part)
        if part == "train" or (part not in made.parts and len(rows)):
            parts[part] = replace(source.take(place[rows]), part=part, planned=part != "train")
    if len(parts) > 1 or len(parts["train"]) == len(source):
        made.parts = parts
    return made


def _pictures(task: Task, recipe: Recipe) -> Material:
    from tunesmith.data.arrays import from_pictures
    from tunesmith.data.pictures import read_pictures
    from tunesmith.data.read import existing

    settings: dict[str, Any] = {"image_size": recipe.data.image_size, "language": recipe.run.language}
    train = read_pictures(existing(Path(task.train).expanduser()), labels=task.labels, **settings)
    if recipe.data.image_size == "auto":
        settings["image_size"] = tuple(train.pixels.shape[2:])
    given = {part: data for part, data in _given(task).items() if part != "train"}
    sets = {"train": train, **{part: read_pictures(existing(Path(data)), **settings) for part, data in given.items()}}
    views = {}
    for part, found in sets.items():
        labels = None if found.labels is None else as_array(found.labels, "the labels")
        name = Path(getattr(task, part)).name
        rows = np.arange(len(found.pixels))
        views[part] = View(part, name, {"pictures": found.pixels}, labels, None, rows, sources=found.sources)
    _side_arrays(task, views["train"])
    columns = {"pictures": Column("pictures", "picture", 0, None, "×".join(map(str, train.pixels.shape[1:])))}
    made = Material(views["train"].name, "pictures", "", views, (), ("class",), columns)
    made.notices += [notice for found in sets.values() for notice in found.notices]
    made.measured["reading"] = [finding for found in sets.values() for finding in found.findings]
    made.kept("picture paths", lambda: {part: Path(getattr(task, part)).expanduser() for part in sets})
    _understand_target(made, task)

    def plan() -> Split:
        gathered = from_pictures(task, recipe, train, made.name, sets.get("val"), sets.get("test"))
        return planned_split(gathered, task, recipe)

    made = _planned(made, task, recipe, plan)
    for part in () if train.parts is None else set(train.parts.tolist()) & set(made.parts):
        made.parts[part].planned = False  # its own folder says so
    return made


def _arrays(task: Task, recipe: Recipe) -> Material:
    """(X, y) pairs and npz files: a table where they are one (words, columns), else arrays as they came."""
    from tunesmith.data.arrays import as_sheet, pair_of
    from tunesmith.data.npz import archive_parts

    pairs: dict[str, tuple[Any, Any]] = {}
    for part, data in _given(task).items():
        if is_path(data):
            name = task.target if isinstance(task.target, str) else None
            found = archive_parts(Path(data).expanduser(), name)
            pairs |= found if part == "train" else {part: found["train"]}
        else:
            pairs[part] = pair_of(data, f"the {part} data")
    named = as_sheet(*pairs["train"], task) if pairs["train"][1] is not None else None
    if named is not None:
        sheets = {"train": named[0]}
        for part in pairs:
            if part != "train":
                other = as_sheet(*pairs[part], task)
                if other is not None:
                    sheets[part] = other[0]
        return _table(named[1], recipe, sheets)
    label = Path(task.train).name if is_path(task.train) else "the arrays"
    made = material_of_arrays(pairs, name=label, task=task)
    _side_arrays(task, made.train)

    def plan() -> Split:
        gathered: Gathered = gather(task, recipe)
        return planned_split(gathered, task, recipe)

    return _planned(made, task, recipe, plan)


def material_of_arrays(
    pairs: Mapping[str, tuple[Any, Any]], *, name: str = "the arrays", task: Task | None = None, kind: str = "auto"
) -> Material:
    """Inputs and targets by part, as arrays or tensors: X (N, ...), a tuple or a mapping of them, y (N,) or (N, K) or None."""
    views = {}
    for part, (X, y) in pairs.items():
        several = isinstance(X, tuple) and bool(X) and all(hasattr(one, "shape") for one in X)
        X = {f"x{place}": one for place, one in enumerate(X)} if several else X
        named = X.items() if isinstance(X, Mapping) else [("x", X)]
        table = {key: as_array(values, "X" if key == "x" else key) for key, values in named}
        target = None if y is None else as_array(y, "y")
        count = len(next(iter(table.values())))
        if target is not None and len(target) != count:
            raise DataError(f"X of the {part} data has {count} rows and y has {len(target)}; expected one target a row")
        if target is not None and target.ndim == 2 and target.shape[1] == 1:
            target = target[:, 0]
        views[part] = View(
            part, name if part == "train" else f"the {part} arrays", table, target, None, np.arange(count)
        )
    columns = {
        key: Column(
            key, "array", 0, None, f"{'×'.join(map(str, values.shape[1:])) or 'one number'} {values.dtype.name}"
        )
        for key, values in views["train"].table.items()
    }
    made = Material(name, "arrays", "", views, (), ("y",), columns)
    made.as_is = task is None or not isinstance(task.model, str)
    asked = task if task is not None else Task(train=(np.zeros((1, 1)), np.zeros(1)), kind=kind)  # type: ignore[arg-type]
    target = made.train.target
    if target is not None and target.ndim == 2:
        made.targets = tuple(f"y{place}" for place in range(target.shape[1]))
    if asked.kind == "language" or (target is not None and target.ndim > 2):
        made.kind = "language" if asked.kind == "language" else ""
    elif target is not None and target.dtype.kind in "fiubO":
        _understand_target(made, asked)
    return made


def _live(task: Task) -> Material:
    """The first rows of a Dataset or a DataLoader, read out."""
    pairs = {part: _read_out(data) for part, data in _given(task).items()}
    made = material_of_arrays(pairs, name=type(task.train).__name__, task=task)
    made.as_is = True
    if len(made.train) >= READ_OUT:
        made.notices.append(f"the audits looked at the first {len(made.train)} rows of the {made.name}")
    return made


def _read_out(data: Any) -> tuple[Any, Any]:
    from tunesmith.data.arrays import pair_of
    from tunesmith.data.live import is_indexed, is_loader, parted, tensors_of

    if not is_live(data):
        return pair_of(data, "the data")
    tensors = tensors_of(data)
    if tensors is not None:
        return tensors
    inputs: list[Any] = []
    targets: list[Array] = []
    count = 0
    batched = is_loader(data) and getattr(data, "batch_size", 1) is not None
    elements = (data[place] for place in range(min(len(data), READ_OUT))) if is_indexed(data) else iter(data)
    for element in elements:
        X, y = parted(element, type(data).__name__)
        X = {key: as_array(value, key) for key, value in X.items()} if isinstance(X, Mapping) else as_array(X)
        inputs.append(X if batched else {k: v[None] for k, v in X.items()} if isinstance(X, dict) else X[None])
        targets.append(np.atleast_1d(as_array(y, "y")) if batched else as_array(y, "y")[None])
        count += len(targets[-1])
        if count >= READ_OUT:
            break
    if not inputs:
        raise DataError(f"the {type(data).__name__} is empty; expected at least one (inputs, target)")
    if isinstance(inputs[0], dict):
        return {key: np.concatenate([one[key] for one in inputs]) for key in inputs[0]}, np.concatenate(targets)
    return np.concatenate(inputs), np.concatenate(targets)
