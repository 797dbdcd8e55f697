"""The way of new data to the model and of its answers back: fitted once, kept with the run, the same in prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from tunesmith.data.categories import CategoryBlock
from tunesmith.data.cells import MISSING_LABELS, as_numbers, number_style, stripped
from tunesmith.data.columns import Reading, is_text, missing_in
from tunesmith.data.numbers import MatrixBlock, NumberBlock
from tunesmith.data.plain import PlainBlock
from tunesmith.data.sheet import Sheet
from tunesmith.data.sources import as_array, is_path, is_table, sheet_of
from tunesmith.data.spec import Array, Block, Column, InputSpec, Part
from tunesmith.data.target import Target
from tunesmith.records import DataError
from tunesmith.records.errors import nearest

FORMAT = 1


@dataclass(frozen=True, slots=True)
class TargetReading:
    """How the cells of the target columns are read: as words, or as numbers in a style."""

    names: tuple[str, ...]
    styles: tuple[str, ...]  # "" for words

    @classmethod
    def of(cls, sheet: Sheet, names: Sequence[str]) -> Self:
        return cls(tuple(names), tuple(_target_style(sheet, name) for name in names))

    def read(self, sheet: Sheet) -> Array:
        """(N,) for one column, (N, K) for several: numbers with NaN for a gap, or an object array with None."""
        for name in self.names:
            sheet.need(name, "target column")
        columns = [_target_values(sheet, name, style) for name, style in zip(self.names, self.styles, strict=True)]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _target_style(sheet: Sheet, name: str) -> str:
    import polars as pl

    sheet.need(name, "target column")
    cells = sheet.column(name)
    if cells.dtype != pl.String:
        return "plain" if cells.dtype.is_numeric() else ""
    text = stripped(cells, MISSING_LABELS)
    style, numbers = number_style(text, sheet.decimal_comma)
    whole = not np.isnan(numbers[text.is_not_null().to_numpy()]).any()
    return style if whole and not text.str.contains(r"^0\d").any() and text.null_count() < text.len() else ""


def _target_values(sheet: Sheet, name: str, style: str) -> Array:
    import polars as pl

    cells = sheet.column(name)
    if cells.dtype == pl.String:
        text = stripped(cells, MISSING_LABELS)
        if style:
            numbers = as_numbers(text, style)
            strange = np.flatnonzero(np.isnan(numbers) & text.is_not_null().to_numpy())
            if len(strange):
                came = text[int(strange[0])]
                raise DataError(
                    f"target {name!r} is a number in training and {came!r} in {sheet.place(int(strange[0]))}"
                )
            return numbers
        return _objects(text)
    if cells.dtype == pl.Boolean and not cells.null_count():
        return cells.to_numpy()
    if cells.dtype.is_numeric() and style:
        return np.array(cells.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return _objects(cells.cast(pl.String))


def _objects(cells: Any) -> Array:
    values = np.empty(cells.len(), object)
    values[:] = cells.to_list()
    return values


@dataclass(slots=True)
class Pipeline:
    """Everything fitted on the training part. `told` holds what was odd about the data last transformed."""

    form: str  # "table", "arrays", "pictures"
    blocks: tuple[Block, ...]
    target: Target | None
    readings: tuple[Reading, ...] = ()
    target_reading: TargetReading | None = None
    known: tuple[str, ...] = ()  # columns of the training data that are no features
    columns: tuple[Column, ...] = ()
    told: tuple[str, ...] = field(default=())

    def transform(self, raw: Any, *, with_target: bool = False) -> Part:
        """The model's inputs for new data of the form the training data had, every row kept.

        With the target, rows without one are left out and counted in `told`. Raises `DataError` for columns that are
        missing and values that cannot be used.
        """
        told: list[str] = []
        if self.form == "language":
            return self._samples(raw)
        if self.form == "table":
            sheet = sheet_of(_named_columns(raw, self.readings))
            table, target = self._table(sheet, told), self._target_of(sheet) if with_target else None
        else:
            table, target = self._arrays(raw, told, with_target)
        part = self.part(table, target, np.arange(len(next(iter(table.values())))), told)
        self.told = tuple(told)
        return part

    def _samples(self, raw: Any) -> Part:
        from tunesmith.data.language.block import LanguageBlock
        from tunesmith.data.language.reading import read_samples

        (block,) = self.blocks
        assert isinstance(block, LanguageBlock)
        reading = read_samples(raw, bad_rows=block.settings.bad_rows)
        part, told = block.part(reading.samples, alone=True)
        self.told = (*reading.notices, *told)
        return part

    def part(
        self,
        table: Mapping[str, Array],
        target: Array | None,
        rows: Array,
        told: list[str],
        source: str = "the data",
        weight: Array | None = None,
        human: Array | None = None,
    ) -> Part:
        """A part of read columns; `target` and `human`, a second annotation, hold raw values."""
        if target is not None:
            some = np.all if self.target is not None and self.target.gaps else np.any
            gone = missing_in(target) if target.ndim == 1 else some(np.isnan(target), axis=1)
            if gone.any():
                told.append(f"{int(gone.sum())} rows of {source} miss their target and are left out")
                table = {name: values[~gone] for name, values in table.items()}
                target, rows = target[~gone], rows[~gone]
                weight = None if weight is None else weight[~gone]
                human = None if human is None else human[~gone]
        for block in self.blocks:
            remarks = getattr(block, "remarks", None)
            told.extend(remarks(table) if remarks is not None else ())
        inputs = {block.kind: block.transform(table) for block in self.blocks}
        encoded = None if target is None or self.target is None else self.target.encode(target, source)
        second = None if human is None or self.target is None else self.target.annotated(human)
        return Part(inputs, encoded, weight, rows, second)

    def spec(self) -> dict[str, InputSpec]:
        """What the inputs are, by name."""
        if self.form == "language":
            return self.blocks[0].specs()  # type: ignore[attr-defined, no-any-return]  # a LanguageBlock, alone
        return {block.kind: block.spec() for block in self.blocks}

    def decode(self, prediction: Array) -> Array:
        """Original labels of class indices or scores, or numbers in the units of the target."""
        return prediction if self.target is None else self.target.decode(prediction)

    def describe(self) -> tuple[Column, ...]:
        """A row for each column of the data: kind, missing values, levels or range, and what the model sees of it."""
        return self.columns

    def inverse(self, part: Part, row: int) -> dict[str, Any]:
        """What the network sees of one row, in the words of the data: column → value."""
        seen: dict[str, Any] = {}
        for block in self.blocks:
            values = part.inputs[block.kind][row : row + 1]
            decode = getattr(block, "decode", None)
            inverse = getattr(block, "inverse", None)
            if inverse is not None:
                seen.update({name: _plain(column[0]) for name, column in inverse(values).items()})
            else:
                seen[", ".join(block.names)] = decode(values[0].tolist()) if decode is not None else values[0]
        return {name: self._worded(name, value) for name, value in seen.items()}

    def _worded(self, name: str, value: Any) -> Any:
        kinds = {reading.name: reading.kind for reading in self.readings}
        if kinds.get(name) == "date" and isinstance(value, float):
            return str(np.datetime64(round(value), "s")) if np.isfinite(value) else None
        return None if isinstance(value, float) and np.isnan(value) else value

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "form": self.form,
            "blocks": [{"type": type(block).__name__, **block.to_json()} for block in self.blocks],
            "target": None if self.target is None else self.target.to_json(),
            "readings": [asdict(reading) for reading in self.readings],
            "target_reading": None if self.target_reading is None else asdict(self.target_reading),
            "known": list(self.known),
            "columns": [asdict(column) for column in self.columns],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, bit for bit."""
        if plain.get("format") != FORMAT:
            came = plain.get("format")
            raise DataError(
                f"the pipeline has format {came!r} and this version reads {FORMAT}; train again, or use the version it was written by"
            )
        reading = plain["target_reading"]
        return cls(
            plain["form"],
            tuple(_block_types()[block["type"]].from_json(block) for block in plain["blocks"]),
            None if plain["target"] is None else Target.from_json(plain["target"]),
            tuple(Reading(**fields) for fields in plain["readings"]),
            None if reading is None else TargetReading(tuple(reading["names"]), tuple(reading["styles"])),
            tuple(plain["known"]),
            tuple(Column(**fields) for fields in plain["columns"]),
        )

    def _table(self, sheet: Sheet, told: list[str]) -> dict[str, Array]:
        told.extend(sheet.notices)
        names = [reading.name for reading in self.readings]
        check_columns(sheet, names)
        targets = self.target_reading.names if self.target_reading is not None else ()
        extra = [name for name in sheet.frame.columns if name not in {*names, *self.known, *targets}]
        if extra:
            told.append(
                f"{sheet.name} has columns that the training data did not have, which are not used: {', '.join(extra[:5])}"
                + (" …" if len(extra) > 5 else "")
            )
        return read_columns(sheet, self.readings, told)

    def _target_of(self, sheet: Sheet) -> Array | None:
        return None if self.target_reading is None else self.target_reading.read(sheet)

    def _arrays(self, raw: Any, told: list[str], with_target: bool) -> tuple[dict[str, Array], Array | None]:
        values, labels = raw if isinstance(raw, tuple) and len(raw) == 2 else (raw, None)
        if self.form == "pictures" and is_path(raw):
            from tunesmith.data.pictures import read_pictures

            spec: Any = self.blocks[0].spec()
            found = read_pictures(raw, image_size=(spec.height, spec.width), with_labels=with_target)
            told.extend(found.notices)
            values, labels = found.pixels, found.labels
        elif is_path(raw):
            from tunesmith.data.npz import archive_parts

            values, labels = archive_parts(raw, need_labels=False)["train"]
        if is_table(values) and not isinstance(values, Mapping):
            values = _frame_values(values)
        named = values if isinstance(values, Mapping) else {self.blocks[0].names[0]: values}
        missing = [block.names[0] for block in self.blocks if block.names[0] not in named]
        if missing:
            raise DataError(f"the data have no array called {missing[0]!r}; the model was trained on one")
        table = {block.names[0]: _shaped(block, as_array(named[block.names[0]])) for block in self.blocks}
        return table, as_array(labels, "y") if with_target and labels is not None else None


def check_columns(sheet: Sheet, names: Sequence[str]) -> None:
    """Raises `DataError` that names the columns which are missing and those that may be meant."""
    missing = [name for name in names if name not in sheet.frame.columns]
    if not missing:
        return
    strange = [name for name in sheet.frame.columns if name not in names]
    close = nearest(missing[0], strange, 1)
    hint = f"; is it the column {close[0]!r}?" if close else f"; it has {', '.join(sheet.frame.columns[:8])}"
    shown = ", ".join(repr(name) for name in missing[:5]) + (" …" if len(missing) > 5 else "")
    count = "a column" if len(missing) == 1 else f"{len(missing)} columns"
    raise DataError(f"{sheet.name} misses {count} that the model was trained on: {shown}{hint}")


def read_columns(sheet: Sheet, readings: Sequence[Reading], told: list[str]) -> dict[str, Array]:
    """The columns as they were read in training. Raises for infinite numbers; cells of another kind are told."""
    table = {}
    for reading in readings:
        cells = sheet.column(reading.name)
        text = stripped(cells) if is_text(cells) else None
        values = reading.read(cells, text)
        if values.dtype.kind == "f" and np.isinf(values).any():
            rows = np.flatnonzero(np.isinf(values))
            raise DataError(
                f"column {reading.name!r} holds infinite values, {sheet.places(rows)}; expected finite numbers"
            )
        unread = reading.unread(text, values)
        if len(unread):
            came = cells[int(unread[0])]
            told.append(
                f"{reading.name}: {len(unread)} cells are no {reading.kind} and count as missing ({came!r}, {sheet.places(unread)})"
            )
        table[reading.name] = values
    return table


def _block_types() -> Mapping[str, Any]:
    from tunesmith.data.language.block import LanguageBlock
    from tunesmith.data.pictures import PicturesBlock
    from tunesmith.data.text import TextBlock
    from tunesmith.data.token_rows import TokenBlock

    kinds = (NumberBlock, MatrixBlock, CategoryBlock, PlainBlock, TextBlock, TokenBlock, LanguageBlock, PicturesBlock)
    return {kind.__name__: kind for kind in kinds}


def _named_columns(raw: Any, readings: Sequence[Reading]) -> Any:
    """A matrix or a list for a model of a table: columns by their order, if there are as many as in training."""
    if is_table(raw) or is_path(raw):
        return raw
    values = as_array(raw[0] if isinstance(raw, tuple) and len(raw) == 2 else raw)
    columns = values[:, None] if values.ndim == 1 else values
    if columns.ndim != 2 or columns.shape[1] != len(readings):
        raise DataError(
            f"the data have shape {values.shape} and the model was trained on the columns "
            f"{', '.join(reading.name for reading in readings[:8])}; pass a data frame or a file with these"
        )
    return {reading.name: columns[:, index] for index, reading in enumerate(readings)}


def _frame_values(data: Any) -> Array:
    return np.asarray(sheet_of(data).frame.to_numpy())


def _shaped(block: Block, values: Array) -> Array:
    """Checked for a built-in model's matrix: as many columns as in training, finite numbers."""
    if isinstance(block, MatrixBlock):
        values = values.reshape(len(values), -1)
        if values.shape[1] != block.columns:
            raise DataError(
                f"X has {values.shape[1]} columns and the model was trained on {block.columns}; pass the same columns"
            )
    if values.dtype.kind == "f" and block.kind != "pictures":
        bad = np.isinf(values) if isinstance(block, MatrixBlock) else ~np.isfinite(values)
        refuse_rows(values, bad, "X")
    return values


def refuse_rows(values: Array, bad: Array, what: str) -> None:
    """Raises `DataError` that names the rows where `bad` holds."""
    if not bad.any():
        return
    rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
    kind = "NaN" if np.isnan(values[rows]).any() else "infinite values"
    if kind == "NaN" and np.isinf(values[rows]).any():
        kind = "NaN and infinite values"
    shown = ", ".join(str(row) for row in rows[:5]) + (" …" if len(rows) > 5 else "")
    where = f"{len(rows)} rows ({shown})" if len(rows) > 1 else f"row {shown}"
    raise DataError(f"{what} holds {kind} in {where}; expected finite numbers: replace them or leave those rows out")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
