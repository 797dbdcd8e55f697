"""A table as it was read, before any column is understood: cells, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cells by column, with the name of their source and, for a text file, the line each row begins on."""

    frame: pl.DataFrame
    name: str  # of the file, or what the object is
    lines: Array | None = None  # int64 (N,), 1 is the first line of the file
    decimal_comma: bool = False  # the separator is ";", so that 1,5 is a number
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.frame.height

    def place(self, row: int) -> str:
        """How a user finds a row: its number, 0 the first row of data, and the line in a text file."""
        line = "" if self.lines is None else f" (line {self.lines[row]})"
        return f"row {row} of {self.name}{line}"

    def places(self, rows: Iterable[int], most: int = 3) -> str:
        """The first few rows, and how many there are.

        >>> import polars as pl
        >>> Sheet(pl.DataFrame({"a": [1, 2]}), "the frame").places([0, 1])
        'rows 0, 1 of the frame'
        """
        listed = [int(row) for row in rows]
        if len(listed) == 1:
            return self.place(listed[0])
        shown = ", ".join(str(row) for row in listed[:most]) + (" …" if len(listed) > most else "")
        line = "" if self.lines is None else f" (first on line {self.lines[listed[0]]})"
        return f"rows {shown} of {self.name}{line}"

    def column(self, name: str) -> pl.Series:
        """One column. Raises `DataError` with the nearest names."""
        self.need(name)
        return self.frame.get_column(name)

    def need(self, name: str, role: str = "column") -> None:
        """Raises `DataError` with the nearest names where the column is absent."""
        if name not in self.frame.columns:
            hint = did_you_mean(name, self.frame.columns)
            raise DataError(f"no {role} called {name!r} in {self.name}{hint}")

    def take(self, rows: Array) -> Sheet:
        """Some of the rows; they keep their lines but not their numbers."""
        frame = self.frame[np.asarray(rows, np.int64)]
        return Sheet(
            frame, self.name, None if self.lines is None else self.lines[rows], self.decimal_comma, self.notices
        )

    def without(self, names: Iterable[str]) -> Sheet:
        """All columns but these."""
        return Sheet(self.frame.drop(list(names)), self.name, self.lines, self.decimal_comma, self.notices)


def name_of(data: Any) -> str:
    """What to call data that came as an object.

    >>> name_of({"a": [1]})
    'the dict of columns'
    """
    return "the dict of columns" if isinstance(data, dict) else f"the {type(data).__name__}"
