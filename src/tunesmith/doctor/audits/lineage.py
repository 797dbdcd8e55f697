"""Which rows a model made: told by a column, by a mark in the texts, or row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import DataError, did_you_mean

if TYPE_CHECKING:
    from tunesmith.data.sheet import Sheet
    from tunesmith.doctor.audits.material import Material

REAL, GENERATED, UNTOLD = 0, 1, -1
MADE = frozenset(
    [
        "1",
        "yes",
        "true",
        "generated",
        "synthetic",
        "artificial",
        "model",
        "machine",
        "ai",
        "llm",
        "gan",
        "bot",
        "simulated",
    ]
)
FOUND = frozenset(
    ["0", "no", "false", "real", "human", "person", "original", "natural", "organic", "manual", "measured"]
)
LAST = 1000  # generation: beyond are years and identifiers; assumption
SHOWN = 5  # values of a column that an error names


@dataclass(frozen=True, slots=True, eq=False)
class Lineage:
    """By row number of the source of the training rows."""

    name: str  # the column, the mark, or "the list"
    origin: Array  # int8 (N,): REAL, GENERATED or UNTOLD
    generation: Array | None = None  # int64 (N,) where the column counts generations, 0 is real, -1 not told
    column: str | None = None  # that says so, and is no input


def lineage_of(material: Material, given: Any) -> Lineage:
    """The lineage that `given` names: a column, "column=value" for the value that means generated, a mark that stands in generated
    texts, or one value a row. Raises `DataError` for what is none of these.
    """
    sheet = material.whole.sheet
    if not isinstance(given, str):
        return _listed(given, len(sheet) if sheet is not None else int(material.whole.rows.max()) + 1)
    if sheet is None:
        raise DataError(f"lineage = {given!r}, and {material.name} has no columns; give one value a row instead")
    if given in material.targets:
        raise DataError(f"lineage = {given!r} is the target; name the column that tells real rows from generated ones")
    if given in sheet.frame.columns:
        found = read(_cells(sheet, given), given)
        return Lineage(given, found.origin, found.generation, given)
    head, equals, value = given.partition("=")
    if equals and head in sheet.frame.columns:
        cells = _cells(sheet, head)
        if value not in cells:
            raise DataError(f"lineage = {given!r}, and {head} holds {_values(cells)}; name a value that it has")
        origin = [UNTOLD if cell is None else GENERATED if cell == value else REAL for cell in cells]
        return Lineage(given, np.array(origin, np.int8), None, head)
    return Lineage(given, _marked(sheet, given))


def without_column(material: Material, name: str) -> None:
    """Takes a column out of what the audits look at: it tells where rows come from, and is no input."""
    for view in material.parts.values():
        view.table = {key: values for key, values in view.table.items() if key != name}
    material.columns = {key: column for key, column in material.columns.items() if key != name}


def read(cells: Sequence[str | None], name: str) -> Lineage:
    """Words for real and generated, yes and no, or whole numbers that count generations from 0, the real data.

    >>> read(["human", "GAN", None], "source").origin.tolist()
    [0, 1, -1]
    >>> read(["0", "2", "1"], "generation").generation.tolist()
    [0, 2, 1]
    """
    there = {cell.strip().casefold() for cell in cells if cell is not None}
    if not there:
        raise DataError(f"lineage: {name} is empty in every row; expected real or generated, or generations from 0 on")
    whole = all(one.isdecimal() for one in there)
    strange = sorted(there - MADE - FOUND)
    if strange and not whole:
        raise DataError(
            f"lineage: {name} holds {_values(cells)}; expected real or generated, yes or no, or generations from 0 on: "
            f"say which is generated, as in {name}={strange[0]}"
        )
    words = [None if cell is None else cell.strip().casefold() for cell in cells]
    if whole and max(map(int, there)) > LAST:
        raise DataError(
            f"lineage: {name} holds {_values(cells)}; expected generations from 0 on, and none beyond {LAST}"
        )
    if whole:
        numbers = np.array([-1 if word is None else int(word) for word in words], np.int64)
        origin = np.where(numbers < 0, UNTOLD, np.minimum(numbers, 1)).astype(np.int8)
        return Lineage(name, origin, numbers if numbers.max() > 1 else None)
    origin = np.array([UNTOLD if word is None else int(word in MADE) for word in words], np.int8)
    return Lineage(name, origin)


def _listed(given: Any, rows: int) -> Lineage:
    values = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(values, Sequence):
        raise DataError(
            f"lineage came as {type(given).__name__}; expected the name of a column, a mark, or one value a row"
        )
    if len(values) != rows:
        raise DataError(f"lineage has {len(values)} values and the data have {rows} rows; expected one a row")
    return read([_word(value) for value in values], "the list")


def _cells(sheet: Sheet, name: str) -> list[str | None]:
    return [_word(value) for value in sheet.column(name).to_list()]


def _word(value: Any) -> str | None:
    """A cell as it would be typed; gaps and empty cells are None."""
    if value is None or value != value or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _values(cells: Sequence[str | None]) -> str:
    there = sorted({cell for cell in cells if cell is not None})
    return ", ".join(there[:SHOWN]) + (" …" if len(there) > SHOWN else "")


def _marked(sheet: Sheet, mark: str) -> Array:
    """Rows with the mark in some text, in any case; the others count as real."""
    wanted = mark.casefold()
    found = np.zeros(len(sheet), bool)
    for name in sheet.frame.columns if wanted.strip() else ():
        cells = sheet.column(name).to_list()
        found |= np.fromiter((isinstance(cell, str) and wanted in cell.casefold() for cell in cells), bool, len(cells))
    if not found.any():
        raise DataError(
            f"lineage = {mark!r} is no column of {sheet.name}{did_you_mean(mark, sheet.frame.columns)}, and no text holds it"
        )
    return found.astype(np.int8)
