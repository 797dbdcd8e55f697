"""From what a task brings to what a training needs: read, understood, divided, encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.data import asked, odd, splits
from tunesmith.data.arrays import as_sheet, from_arrays, from_pictures, pair_of
from tunesmith.data.columns import missing_in
from tunesmith.data.fingerprint import equal_rows, fingerprint, shared_rows
from tunesmith.data.language.reading import is_text
from tunesmith.data.npz import archive_parts
from tunesmith.data.pipeline import Pipeline
from tunesmith.data.rows import Gathered, Rows
from tunesmith.data.sources import is_live, is_path, is_table, sheet_of
from tunesmith.data.spec import Array, Block, Column, Part, Prepared, Split
from tunesmith.data.tables import from_table
from tunesmith.data.target import CLASSES, Target, understood
from tunesmith.records import DataError, Finding, Recipe, Source, Task, revise

PARTS = ("train", "val", "test")


def prepare(task: Task, recipe: Recipe) -> Prepared:
    """The data of a task, ready for training.

    Kinds of columns and of the task are inferred and told; blocks are fitted on the training part only. Raises
    `DataError` where the data cannot be used; what is odd but usable is in `findings`.
    """
    if is_text(task):
        from tunesmith.data.language.prepare import prepare_language

        return prepare_language(task, recipe)
    if is_live(task.train):
        from tunesmith.data.live import prepare_live

        return prepare_live(task, recipe)
    live = {
        part: getattr(task, part)
        for part in PARTS[1:]
        if getattr(task, part) is not None and is_live(getattr(task, part))
    }
    if live:  # loaders that judge arrays stay as they are, and nothing is set aside in their place
        nothing = revise(recipe, {f"data.{part}": 0.0 for part in live}, Source("derived", "a loader is given"))
        others: dict[str, Any] = dict.fromkeys(live)
        return replace(prepare(replace(task, **others), nothing), **live)
    gathered = gather(task, recipe)
    return assembled(gathered, task, recipe)


def gather(task: Task, recipe: Recipe) -> Gathered:
    """All rows of the task, read but not encoded."""
    if is_path(task.train):
        path = Path(task.train).expanduser()
        if path.suffix.lower() == ".npz":
            return _from_npz(path, task, recipe)
        if not is_table(path):
            return _from_pictures(path, task, recipe)
    if is_table(task.train):
        sheets = [None if data is None else sheet_of(data) for data in (task.val, task.test)]
        return from_table(task, recipe, sheet_of(task.train), *sheets)
    X, y = pair_of(task.train, "the training data")
    found = as_sheet(X, y, task)
    if found is not None:
        sheet, named = found
        others = [None if data is None else _other_sheet(data, named) for data in (task.val, task.test)]
        return from_table(named, recipe, sheet, *others)
    pairs = {part: pair_of(data, f"the {part} data") for part, data in _parts(task) if data is not None}
    return from_arrays(task, recipe, pairs)


def _parts(task: Task) -> Sequence[tuple[str, Any]]:
    return (("train", task.train), ("val", task.val), ("test", task.test))


def _other_sheet(data: Any, task: Task) -> Any:
    if is_table(data):
        return sheet_of(data)
    found = as_sheet(*pair_of(data, "the other data"), task)
    if found is None:
        raise DataError(
            "the training data are a table and the validation or test data are not; bring both in the same form"
        )
    return found[0]


def _from_npz(path: Path, task: Task, recipe: Recipe) -> Gathered:
    target = task.target if isinstance(task.target, str) else None
    pairs: dict[str, tuple[Any, Any]] = dict(archive_parts(path, target))
    for part, data in _parts(task)[1:]:
        if data is not None:
            pairs[part] = archive_parts(data, target)["train"] if is_path(data) else pair_of(data, f"the {part} data")
    found = as_sheet(*pairs["train"], task)
    if found is not None:
        sheet, named = found
        others = [_other_sheet(pairs[part], named) if part in pairs else None for part in PARTS[1:]]
        return from_table(named, recipe, sheet, *others)
    return from_arrays(task, recipe, pairs)


def _from_pictures(path: Path, task: Task, recipe: Recipe) -> Gathered:
    from tunesmith.data.pictures import read_pictures
    from tunesmith.data.read import READABLE, existing

    found = existing(path)
    looks = found.is_dir() or found.suffix.lower() == ".zip" or "idx" in found.name
    if not looks:
        raise DataError(f"{found.name} has an ending that is not known; expected {READABLE}")
    settings: dict[str, Any] = {"image_size": recipe.data.image_size, "language": recipe.run.language}
    train = read_pictures(found, labels=task.labels, **settings)
    if recipe.data.image_size == "auto":
        settings["image_size"] = tuple(train.pixels.shape[2:])
    others = [None if data is None else read_pictures(existing(data), **settings) for data in (task.val, task.test)]
    named = [Path(data).name for data in (task.val, task.test) if data is not None]
    kept = tuple(notice for notice in train.notices if not any(name in notice for name in named))
    train = replace(train, notices=kept)  # a test set that lies beside the pictures is named after all
    return from_pictures(task, recipe, train, found.name, *others)


def planned_split(gathered: Gathered, task: Task, recipe: Recipe) -> Split:
    """How a training would divide these rows, without encoding them: row numbers of the source. Raises `DataError`."""
    gaps = _takes_gaps(gathered, task, recipe)
    for part in PARTS:
        rows = getattr(gathered, part)
        if rows is not None:
            setattr(gathered, part, _with_targets(rows, gathered, [], gaps))
    _take_parts(gathered)
    target, _ = _target(gathered, task)
    split = _divided(gathered, target, task, recipe, [], [])
    return _numbered(split, *(_part_rows(gathered, part, getattr(split, part)) for part in PARTS))  # type: ignore[arg-type]


def assembled(gathered: Gathered, task: Task, recipe: Recipe) -> Prepared:
    """Rows divided, blocks fitted, parts encoded."""
    findings, notices = list(gathered.findings), list(gathered.notices)
    mark = fingerprint(_hashed(gathered))
    gaps = _takes_gaps(gathered, task, recipe)
    for part in PARTS:
        rows = getattr(gathered, part)
        if rows is not None:
            setattr(gathered, part, _with_targets(rows, gathered, findings, gaps))
    _take_parts(gathered)
    target, how = _target(gathered, task)
    notices.append(how)
    if gaps and gathered.train.target is not None:
        target = replace(target, gaps=True)
        notices.extend(asked.gaps_told(gathered.train.target, gathered.names))
    scaling = asked.target_scaling(task, recipe, target, gathered, notices)
    split = _divided(gathered, target, task, recipe, findings, notices)
    train, val, test = (_part_rows(gathered, part, getattr(split, part)) for part in PARTS)
    assert train is not None
    assert train.target is not None
    target = target.scaled(train.target, scaling)
    for block in gathered.blocks:
        block.fit(train.table)
        notices.extend(block.notices)
        findings.extend(getattr(block, "findings", ()))
    pipeline = Pipeline(
        gathered.form, tuple(gathered.blocks), target, gathered.readings, gathered.target_reading, gathered.known
    )
    given = (False, gathered.val is not None, gathered.test is not None)
    told_of = [notices if other else [] for other in given]  # rows of the training data hold nothing new to tell of
    parts = [_encoded(pipeline, rows, told) for rows, told in zip((train, val, test), told_of, strict=True)]
    counts = _counts(target, parts[0])
    if counts is not None and target.classes is not None:
        findings.extend(odd.class_shares(counts, target.classes))
    pipeline.columns = _described(gathered, target, counts)
    return Prepared(
        kind=target.kind,
        train=parts[0],
        val=parts[1],
        test=parts[2],
        spec=pipeline.spec(),
        outputs=target.outputs,
        classes=target.classes,
        counts=counts,
        positive=target.positive,
        pipeline=pipeline,
        columns=pipeline.columns,
        findings=tuple(findings),
        notices=tuple(dict.fromkeys(notices)),
        fingerprint=mark,
        split=_numbered(split, train, val, test),
    )


def _hashed(gathered: Gathered) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for part in PARTS:
        rows = getattr(gathered, part)
        if rows is not None:
            arrays |= {f"{part}/{name}": values for name, values in rows.table.items()}
            sides = {"target": rows.target, "weight": rows.weight, "group": rows.group, "time": rows.time}
            arrays |= {f"{part}/ {name}": values for name, values in sides.items() if values is not None}
    return arrays


def _with_targets(rows: Rows, gathered: Gathered, findings: list[Finding], gaps: bool = False) -> Rows:
    """Only the rows that have a target; with `gaps` those that have some of it."""
    if rows.target is None or (gathered.own and not gaps):
        return rows
    gone = _gaps(rows.target, np.all if gaps else np.any)
    if gone.all():
        raise DataError(
            f"target {gathered.names[0]!r} is missing in all {len(rows)} rows of {rows.name}; name another column"
        )
    findings.extend(odd.missing_targets(int(gone.sum()), len(rows), rows.name))
    return rows.take(np.flatnonzero(~gone)) if gone.any() else rows


def _takes_gaps(gathered: Gathered, task: Task, recipe: Recipe) -> bool:
    """Whether rows stay that have some of their numbers: the loss leaves gaps out, or is to be chosen and there are such rows."""
    if asked.takes_missing(task, recipe):
        return True
    target = gathered.train.target
    if gathered.own or target is None or target.ndim < 2 or asked.loss_name(task, recipe) != "auto":
        return False
    return bool((_gaps(target) & ~_gaps(target, np.all)).any())


def _gaps(target: Array, some: Callable[..., Any] = np.any) -> Array:
    if target.ndim == 1:
        return missing_in(target) if target.dtype.kind in "fO" else np.zeros(len(target), bool)
    flat = target.reshape(len(target), -1)
    if flat.dtype == object:
        return np.array([some([value is None for value in row]) for row in flat.tolist()])
    return np.asarray(some(np.isnan(flat), axis=1)) if flat.dtype.kind == "f" else np.zeros(len(flat), bool)


def _take_parts(gathered: Gathered) -> None:
    """Parts that the source itself names (train, val and test folders)."""
    rows = gathered.train
    if rows.part is None:
        return
    for part in ("val", "test"):
        chosen = np.flatnonzero(rows.part == part)
        if getattr(gathered, part) is None and len(chosen):
            setattr(gathered, part, rows.take(chosen))
    gathered.train = rows.take(np.flatnonzero(rows.part == "train"))
    if not len(gathered.train):
        raise DataError(f"{rows.name} has no training rows; expected a folder called train")


def _target(gathered: Gathered, task: Task) -> tuple[Target, str]:
    values = gathered.train.target
    assert values is not None
    if len(values) == 1:
        raise DataError(
            f"1 row with a target came in {gathered.train.name}; expected at least 2, and 100 or more to learn from"
        )
    if gathered.own:
        from tunesmith.data.own import own_target

        return own_target(values, task)
    if values.ndim == 2 and values.shape[1] == 1:
        _squeeze(gathered)
        values = gathered.train.target
        assert values is not None
    if task.kind == "language":
        raise DataError(
            "a language task takes text (a .txt file, chats as .jsonl, a list of either), or arrays of tokens (X, y) or a Dataset with a "
            "model of your own"
        )
    if values.ndim == 2 and task.kind == "auto" and gathered.form != "table" and _one_hot(values):
        for part in PARTS:
            rows = getattr(gathered, part)
            if rows is not None and rows.target is not None:
                rows.target = np.asarray(rows.target).argmax(axis=1)
        target, told = understood(gathered.train.target, ("y",), "auto", task.positive)  # type: ignore[arg-type]
        return target, f"{told}; y has one 1 in each row and is read as the place of it"
    return understood(values, gathered.names, task.kind, task.positive)


def _squeeze(gathered: Gathered) -> None:
    for part in PARTS:
        rows = getattr(gathered, part)
        if rows is not None and rows.target is not None:
            rows.target = rows.target.reshape(len(rows.target))
    gathered.names = gathered.names[:1]


def _one_hot(values: Array) -> bool:
    numeric = values.dtype.kind in "fiub" and values.shape[1] > 1
    return bool(numeric and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _divided(
    gathered: Gathered, target: Target, task: Task, recipe: Recipe, findings: list[Finding], notices: list[str]
) -> Split:
    rows = gathered.train
    shares = splits.Shares(0.0 if gathered.val else recipe.data.val, 0.0 if gathered.test else recipe.data.test)
    units = equal_rows(list(rows.table.values()))
    findings.extend(odd.repeated_rows(units, rows.target))
    for part in ("val", "test"):
        given = getattr(gathered, part)
        if given is not None:
            count = shared_rows(list(rows.table.values()), list(given.table.values()))
            findings.extend(odd.shared_with_test(count, len(given), part))
    how = _how(recipe, target, rows, shares)
    everything = np.arange(len(rows))
    nothing = everything[:0]
    if how == "given" or not (shares.val or shares.test):
        return Split("given", everything, nothing, nothing, recipe.train.seed)
    if len(rows) < splits.FEWEST:
        notices.append(f"{len(rows)} rows are too few to set any aside: all are trained on and nothing is judged")
        return Split(how, everything, nothing, nothing, recipe.train.seed)
    together = units if recipe.data.keep_duplicates_together else None
    seed = recipe.train.seed
    if how == "time":
        assert rows.time is not None
        return splits.by_time(rows.time, shares, seed)
    if how == "group":
        assert rows.group is not None
        return splits.grouped(rows.group, shares, seed, together)
    if how == "stratified":
        assert rows.target is not None
        split = splits.stratified(target.encode(rows.target), shares, seed, together)
    else:
        split = splits.random(len(rows), shares, seed, together)
    notices.extend(_sizes_told(split, shares, len(rows)))
    return split


def _how(recipe: Recipe, target: Target, rows: Rows, shares: splits.Shares) -> str:
    how = recipe.data.split
    if how == "auto":
        if rows.time is not None and rows.group is not None:
            raise DataError(
                "both a group and a time column are named; say which divides the rows with data.split = 'group' or 'time'"
            )
        if rows.time is not None or rows.group is not None:
            return "time" if rows.time is not None else "group"
        labelled = target.kind in CLASSES and rows.target is not None and rows.target.ndim == 1
        return "stratified" if labelled else "random"
    if how in ("group", "time") and getattr(rows, how) is None:
        raise DataError(f"data.split = {how!r} needs a {how} column; name it with {how} (on the command line --{how})")
    if how == "stratified" and target.kind not in CLASSES:
        raise DataError(
            f"data.split = 'stratified' keeps the shares of classes and a {target.kind} task has none; use 'random'"
        )
    return how


def _sizes_told(split: Split, shares: splits.Shares, rows: int) -> list[str]:
    wanted = shares.counts(rows)
    came = len(split.val), len(split.test)
    far = [abs(have - want) > max(1, 0.1 * want) for have, want in zip(came, wanted, strict=True)]
    if not any(far):
        return []
    return [
        f"rows with equal inputs stay together, which leaves {came[0]} rows for validation and {came[1]} for the test "
        f"where {wanted[0]} and {wanted[1]} were asked for; data.keep_duplicates_together = false divides them"
    ]


def _part_rows(gathered: Gathered, part: str, chosen: Array) -> Rows | None:
    given: Rows | None = getattr(gathered, part)
    if part == "train":
        return gathered.train.take(chosen)
    if given is not None:
        return given
    return gathered.train.take(chosen) if len(chosen) else None


def _encoded(pipeline: Pipeline, rows: Rows | None, notices: list[str]) -> Part | None:
    if rows is None:
        return None
    return pipeline.part(rows.table, rows.target, rows.numbers, notices, rows.name, rows.weight, rows.human)


def _counts(target: Target, part: Part | None) -> Array | None:
    if target.classes is None or part is None or part.target is None:
        return None
    labels = part.target.reshape(-1)
    if labels.dtype.kind == "f":  # 0.0 and 1.0, for a binary loss of the user's own
        if not np.isin(labels, (0, 1)).all():
            return None
        labels = labels.astype(np.int64)
    return np.bincount(labels[labels >= 0], minlength=len(target.classes))


def _numbered(split: Split, train: Rows, val: Rows | None, test: Rows | None) -> Split:
    """The split in row numbers of the source, where rows without a target have theirs too."""
    empty = np.empty(0, np.int64)
    numbers = [empty if rows is None else rows.numbers for rows in (train, val, test)]
    return replace(split, train=numbers[0], val=numbers[1], test=numbers[2])


def _described(gathered: Gathered, target: Target, counts: Array | None) -> tuple[Column, ...]:
    told = [
        replace(column, encoding=_encoding(gathered.blocks, column) or column.encoding) for column in gathered.columns
    ]
    for name in gathered.names[:50]:
        if target.classes is not None:
            sizes = counts if counts is not None else np.zeros(0, np.int64)
            shown = [f"{label} ({count})" for label, count in zip(target.classes, sizes.tolist(), strict=False)] or [
                str(label) for label in target.classes
            ]
            values = ", ".join(shown[:6]) + (" …" if len(shown) > 6 else "")
            told.append(Column(name, "target", 0, len(target.classes), values, "class index"))
        else:
            scaled = "standard" if target.center else "as it is"
            told.append(Column(name, "target", 0, None, target.kind, scaled))
    return tuple(told)


def _encoding(blocks: Sequence[Block], column: Column) -> str:
    told = []
    for block in blocks:
        if column.name in block.names:
            tell = getattr(block, "told", None)
            told.append(tell(column.name) if tell is not None else block.kind)
    return "; ".join(told)
