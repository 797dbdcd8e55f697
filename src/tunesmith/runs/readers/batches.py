"""Some rows of a log, column by column, as numbers and texts."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tunesmith.runs.history import Floats

Mask: TypeAlias = npt.NDArray[np.bool_]
Record: TypeAlias = Mapping[str, Any]

ROWS = 4096  # assumption: rows a batch; the cost of a batch is small beside that of its rows
WRAPPED = re.compile(r"^(?:tensor|array|np\.float\d+|float|Tensor)?[(\[]+\s*([-+.\deEinfa]+)\s*[,\])].*$", re.DOTALL)
ABSENT = frozenset(("", "-", "--", "none", "null", "n/a", "na", "nil", "true", "false", "<na>", "\\n"))


@dataclass(slots=True)
class Batch:
    """`numbers[column]` are values (rows,) and where there are any; a cell that says NaN is a value.

    `lanes` names, row by row, what counts its steps by itself.
    """

    rows: int
    numbers: dict[str, tuple[Floats, Mask]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    percent: set[str] = field(default_factory=set)  # columns with a percent sign behind their numbers
    lanes: list[str] | None = None


def batches(records: Iterable[Record], size: int = ROWS) -> Iterator[Batch]:
    """Batches of records, each a row of a few columns."""
    going = iter(records)
    while chunk := list(islice(going, size)):
        yield of_records(chunk)


def of_records(records: Sequence[Record]) -> Batch:
    """Numbers, booleans left out, and numbers written as texts; what is neither number nor text is left out."""
    batch = Batch(len(records))
    values: dict[str, list[float]] = {}
    at: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        for column, cell in record.items():
            if type(cell) is not float:
                found = cell_number(cell)
                if found is None:
                    if isinstance(cell, str):
                        batch.texts.setdefault(column, [""] * len(records))[row] = cell
                    continue
                if isinstance(cell, str) and "%" in cell:
                    batch.percent.add(column)
                cell = found
            if column not in values:
                values[column], at[column] = [], []
            values[column].append(cell)
            at[column].append(row)
    for column, found_values in values.items():
        whole, present = np.full(len(records), np.nan), np.zeros(len(records), bool)
        whole[at[column]], present[at[column]] = found_values, True
        batch.numbers[column] = whole, present
    return batch


def of_cells(columns: Mapping[str, Sequence[str]], rows: int, decimal_comma: bool = False) -> Batch:
    """Columns of texts, as a table has them."""
    batch = Batch(rows)
    for column, cells in columns.items():
        if decimal_comma:
            cells = [cell.replace(",", ".") if "," in cell else cell for cell in cells]
        try:
            batch.numbers[column] = np.array(list(map(float, cells))), np.ones(rows, bool)
            continue
        except ValueError:
            pass
        try:
            values = np.array([float(cell) if cell else np.nan for cell in cells])
            batch.numbers[column] = values, np.array([bool(cell) for cell in cells])
        except ValueError:
            _mixed(batch, column, cells)
    return batch


def _mixed(batch: Batch, column: str, cells: Sequence[str]) -> None:
    """A column with other cells than numbers among its own: as texts too, where there are any."""
    found = [number(cell) for cell in cells]
    present = np.array([value is not None for value in found])
    if any(cell.strip().casefold() not in ABSENT and value is None for cell, value in zip(cells, found, strict=True)):
        batch.texts[column] = [cell.strip() for cell in cells]
    if any("%" in cell for cell in cells):
        batch.percent.add(column)
    if present.any():
        batch.numbers[column] = np.array([np.nan if value is None else value for value in found]), present


def cell_number(cell: Any) -> float | None:
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int):
        try:
            return float(cell)
        except OverflowError:
            return None
    if isinstance(cell, float):
        return cell
    if isinstance(cell, str):
        return number(cell)
    if isinstance(cell, list) and len(cell) == 1:
        return cell_number(cell[0])
    return None


@lru_cache(65536)
def number(text: str) -> float | None:
    """The number of a cell; a share of a percent; None where there is none.

    >>> number("1e-3"), number("12.5%"), number("tensor(0.5, device='cuda:0')"), number("adam"), number("")
    (0.001, 0.125, 0.5, None, None)
    """
    text = text.strip().strip("\"'")
    try:
        return float(text)
    except ValueError:
        pass
    if text.casefold() in ABSENT:
        return None
    wrapped = WRAPPED.match(text)
    if wrapped:
        text = wrapped[1]
    share = 100.0 if text.endswith("%") else 1.0
    try:
        return float(text.rstrip("% ")) / share
    except ValueError:
        return None


TAGS = frozenset(
    (
        "metric",
        "tag",
        "name",
        "key",
        "variable",
        "scalar",
        "metric_name",
        "metric name",
        "series",
        "measure",
        "quantity",
    )
)
VALUES = frozenset(("value", "values", "metric_value", "val"))


def unstacked(batch: Batch) -> list[Batch]:
    """A table of one number a row, named in a column beside it, as one batch for each name; others as they are."""
    value = next((column for column in batch.numbers if column.strip().casefold() in VALUES), None)
    tag = next((column for column in batch.texts if column.strip().casefold() in TAGS), None)
    if value is None or tag is None or batch.lanes:
        return [batch]
    found = []
    names = np.array(batch.texts[tag])
    for name in dict.fromkeys(batch.texts[tag]):
        at = np.flatnonzero(names == name)
        if not name:
            continue
        numbers = {c: (values[at], there[at]) for c, (values, there) in batch.numbers.items() if c != value}
        numbers[name] = tuple(cells[at] for cells in batch.numbers[value])  # type: ignore[assignment]
        texts = {c: [cells[i] for i in at] for c, cells in batch.texts.items() if c != tag}
        found.append(Batch(len(at), numbers, texts, lanes=[name] * len(at)))
    return found
