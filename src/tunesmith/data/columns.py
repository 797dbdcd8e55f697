"""What each column of a table is: a number, a truth value, a date, a category, text, or no feature at all.

The rules, in order (`Task.columns` overrules any of them):

constant    one value in all rows, or none
boolean     true / false, yes / no
number      every filled cell reads as a number, or nine in ten do and the others are single oddities
ordinal     whole numbers of few values: a number and a category at once
date        nine in ten of the different filled cells read as dates of one form
text        several words or Chinese, Japanese or Korean letters a cell, and few repeats
identifier  a different word in every row; or a different whole number in every row, named as one or counting the rows
            in the first column
category    all other words
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.cells import (
    as_dates,
    as_numbers,
    as_truth,
    date_style,
    number_style,
    other_order,
    seconds_of,
    stripped,
)
from tunesmith.data.sheet import Sheet
from tunesmith.data.spec import Array, Column
from tunesmith.records import DataError, Evidence, Finding, Remedy, Safety, did_you_mean

if TYPE_CHECKING:
    import polars as pl

FEATURES = ("number", "ordinal", "boolean", "date", "category", "text")
GIVEN = (*FEATURES, "drop")  # what `Task.columns` may say
PURE = 0.9  # share of cells that decides a column in spite of oddities; assumption
ORDINAL_LEVELS = 32  # most values of whole numbers that are also looked at as levels; assumption
ROWS_A_LEVEL = 10  # rows on average that a level needs for it; assumption
TEXT_WORDS = 3.0  # words (or CJK letters / 2) a cell of text has on average; assumption
TEXT_DISTINCT = 0.3  # share of different cells from which wordy columns are text; assumption
LONG_WORDS = 8.0  # and from which length they are text though they repeat; assumption
CJK = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]"
IDENTIFIER = re.compile(r"(^|[_\s.-])(id|uid|uuid|guid|index|idx|rowid|row_?(number|id)|编号|序号)$", re.IGNORECASE)
CAMEL_IDENTIFIER = re.compile(r"[a-z]I[dD]$")

DROP = Remedy(title="data.drop_column", safety=Safety.ADVICE)
CLEAN = Remedy(title="data.clean_column", safety=Safety.ADVICE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the cells of one column are read, in training and in prediction alike."""

    name: str
    kind: str  # one of FEATURES
    style: str = ""  # of numbers and dates written as text

    def read(self, cells: pl.Series, text: pl.Series | None = None) -> Array:
        """float64 with NaN for missing, or for categories and text an object array of str and None; `text`: the cells stripped already."""
        import polars as pl

        if isinstance(cells.dtype, pl.Categorical | pl.Enum):
            cells = cells.cast(pl.String)
        if self.kind == "text":
            return _objects(_worded(cells))
        if self.kind == "category":
            return _objects((stripped(cells) if text is None else text) if cells.dtype == pl.String else _worded(cells))
        if cells.dtype == pl.String:
            return self._parse(stripped(cells) if text is None else text)
        return _numeric(cells)

    def _parse(self, text: pl.Series) -> Array:
        if self.kind == "boolean":
            truth = as_truth(text)
            return truth if not np.isnan(truth).all() else as_numbers(text, "plain")
        return (
            as_dates(text, self.style)
            if self.kind == "date" and self.style
            else as_numbers(text, self.style or "plain")
        )

    def unread(self, text: pl.Series | None, values: Array) -> Array:
        """Rows with a filled cell, of a column of stripped text, that does not read as this kind."""
        if text is None or self.kind in ("text", "category"):
            return np.empty(0, np.int64)
        return np.flatnonzero(text.is_not_null().to_numpy() & np.isnan(values))


@dataclass(frozen=True, slots=True)
class Understood:
    """A column, how it is read if it is a feature, its values, and what is odd about it."""

    column: Column
    reading: Reading | None = None
    values: Array | None = None
    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = field(default=())


def understand(sheet: Sheet, name: str, given: str | None = None) -> Understood:
    """What the column is, by the rules above or as `given`. Raises `DataError` for infinite numbers and nested cells."""
    cells = _flat(sheet, name)
    if given == "drop":
        return Understood(Column(name, "dropped", source="given"))
    text = stripped(cells) if is_text(cells) else None
    reading, notices = _given(cells, name, given, sheet) if given else _inferred(cells, text, name, sheet)
    if reading is None:
        return _unused(cells, name, notices[0])
    values = reading.read(cells, text)
    _refuse_infinite(sheet, name, values)
    findings = (*_mixed(sheet, reading, cells, text, values), *_missing(name, values))
    column = described(name, reading, values, "given" if given else "inferred")
    return Understood(column, reading, values, findings, notices)


def check_given(columns: Mapping[str, str], sheet: Sheet) -> None:
    """Raises `DataError` for a column or a kind of column that does not exist."""
    for name, kind in columns.items():
        sheet.need(name)
        if kind not in GIVEN:
            raise DataError(f"column {name!r} cannot be taken for {kind!r}{did_you_mean(kind, GIVEN)}")


def is_text(cells: pl.Series) -> bool:
    import polars as pl

    return bool(cells.dtype == pl.String)


def _inferred(
    cells: pl.Series, text: pl.Series | None, name: str, sheet: Sheet
) -> tuple[Reading | None, tuple[str, ...]]:
    import polars as pl

    if isinstance(cells.dtype, pl.Categorical | pl.Enum):
        cells = cells.cast(pl.String)
        text = stripped(cells)
    seen = cells if text is None else text
    distinct = seen.drop_nulls().n_unique()
    if distinct == 0 or (distinct == 1 and seen.null_count() == 0):
        return None, ("constant",)
    if cells.dtype == pl.Boolean:
        return Reading(name, "boolean"), ()
    if cells.dtype.is_temporal():
        return Reading(name, "date" if not isinstance(cells.dtype, pl.Duration) else "number"), ()
    if cells.dtype.is_numeric():
        counts = cells.dtype.is_integer() and sheet.frame.columns[0] == name
        return _number(_numeric(cells), name, distinct, Reading(name, "number"), counts)
    return _of_text(seen, name, distinct, sheet)


def _of_text(text: pl.Series, name: str, distinct: int, sheet: Sheet) -> tuple[Reading | None, tuple[str, ...]]:
    levels = set(text.drop_nulls().unique().head(9).str.to_lowercase().to_list()) if distinct <= 4 else set()
    if levels and (
        levels <= {"true", "false"} or levels <= {"yes", "no"} or levels <= {"t", "f"} or levels <= {"y", "n"}
    ):
        return Reading(name, "boolean"), ()
    filled = text.len() - text.null_count()
    style, numbers = number_style(text, sheet.decimal_comma)
    share = float((~np.isnan(numbers)).sum() / filled)
    coded = bool(share == 1 and (text.str.contains(r"^0\d+$").any()))  # 01234 would lose its zero as a number
    if (share == 1 and not coded) or (share >= PURE and _single_oddities(text, numbers, distinct)):
        notices = (f"{name} is read with {_TOLD[style]}",) if style != "plain" else ()
        counts = sheet.frame.columns[0] == name and not text.str.contains(".", literal=True).any()
        reading, more = _number(numbers, name, distinct, Reading(name, "number", style), counts)
        return reading, more if reading is None else (*notices, *more)
    date, dated = date_style(text) if not coded else ("", 0.0)
    if dated >= PURE:
        return Reading(name, "date", date), _order_told(text, name, date)
    return _words(text, name, distinct, filled)


_TOLD = {
    "grouped": "commas between thousands (1,500.5) or without its currency or per cent sign",
    "comma": "decimal commas (1,5)",
}


def _single_oddities(text: pl.Series, numbers: Array, distinct: int) -> bool:
    """The cells that are no numbers are stray words among many numbers, not levels such as 0, 1, 2, 3+."""
    odd = text.filter(np.isnan(numbers)).drop_nulls().n_unique()
    return distinct - odd > ORDINAL_LEVELS


def _number(
    numbers: Array, name: str, distinct: int, reading: Reading, may_count: bool
) -> tuple[Reading | None, tuple[str, ...]]:
    present = numbers[np.isfinite(numbers)]
    whole = bool(len(present)) and bool((present == np.floor(present)).all())
    if whole and distinct == len(numbers):
        counting = may_count and present[0] in (0, 1) and bool((np.diff(present) == 1).all())
        if (counting and len(numbers) > ORDINAL_LEVELS) or _named_identifier(name):
            return None, ("identifier",)
    if whole and 3 <= distinct <= ORDINAL_LEVELS and len(present) >= ROWS_A_LEVEL * distinct:
        return replace(reading, kind="ordinal"), ()
    return reading, ()


def _named_identifier(name: str) -> bool:
    return bool(IDENTIFIER.search(name) or CAMEL_IDENTIFIER.search(name))


def _words(text: pl.Series, name: str, distinct: int, filled: int) -> tuple[Reading | None, tuple[str, ...]]:
    cells = text.drop_nulls()
    if wordy(cells) >= LONG_WORDS and distinct > ORDINAL_LEVELS:
        return Reading(name, "text"), ()
    if wordy(cells) >= TEXT_WORDS and distinct >= TEXT_DISTINCT * filled and distinct > ORDINAL_LEVELS:
        return Reading(name, "text"), ()
    if distinct == text.len():
        return None, ("identifier",)
    return Reading(name, "category"), ()


def wordy(cells: pl.Series) -> float:
    """Words a cell on average; two letters of a script without spaces count as one."""
    letters = cells.str.count_matches(CJK)
    words = cells.str.count_matches(r"\S+")
    return float(words.mean() or 0) + float(letters.mean() or 0) / 2  # type: ignore[arg-type]


def _order_told(text: pl.Series, name: str, style: str) -> tuple[str, ...]:
    other = other_order(style)
    if other is None or np.isnan(as_dates(text.drop_nulls(), other)).any():
        return ()
    return (f"{name}: the dates fit month/day and day/month alike and are read as month/day",)


def _given(cells: pl.Series, name: str, kind: str, sheet: Sheet) -> tuple[Reading, tuple[str, ...]]:
    import polars as pl

    worded = cells.dtype == pl.String
    style = ""
    if worded and kind in ("number", "ordinal"):
        style = number_style(stripped(cells), sheet.decimal_comma)[0]
    if worded and kind == "date":
        style = date_style(stripped(cells))[0]
    reading = Reading(name, kind, style)
    text = stripped(cells) if worded else None
    unread = reading.unread(text, reading.read(cells, text))
    filled = int(cells.len() - cells.null_count())
    if kind == "date" and worded and not style:
        raise DataError(
            f"column {name!r} cannot be read as a date ({cells.drop_nulls().first()!r}); write dates as 2024-12-31"
        )
    if filled and len(unread) == filled:
        came = cells[int(unread[0])]
        raise DataError(f"column {name!r} cannot be read as {kind}: {sheet.place(int(unread[0]))} holds {came!r}")
    return reading, ()


def _flat(sheet: Sheet, name: str) -> pl.Series:
    import polars as pl

    cells = sheet.column(name)
    if cells.dtype.is_nested() or cells.dtype in (pl.Object, pl.Binary):
        raise DataError(
            f"column {name!r} of {sheet.name} holds {str(cells.dtype).lower()} values, which cannot be a feature; "
            f"leave it out with drop = {name!r}, or spread it over several columns"
        )
    return cells.cast(pl.Float64) if cells.dtype.is_decimal() or cells.dtype == pl.Null else cells


def _numeric(cells: pl.Series) -> Array:
    import polars as pl

    if cells.dtype.is_temporal():
        return seconds_of(cells)
    values: Array = cells.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values if values.flags.writeable else values.copy()


def _worded(cells: pl.Series) -> pl.Series:
    import polars as pl

    if cells.dtype == pl.String:
        return pl.select(pl.when(cells.str.strip_chars() != "").then(cells)).to_series()
    if cells.dtype.is_float():
        from tunesmith.data.categories import levels_of

        return pl.Series(levels_of(cells.fill_null(float("nan")).to_numpy()), dtype=pl.String)
    return cells.cast(pl.String)


def _objects(cells: pl.Series) -> Array:
    values = np.empty(cells.len(), object)
    values[:] = cells.to_list()
    return values


def _refuse_infinite(sheet: Sheet, name: str, values: Array) -> None:
    if values.dtype.kind == "f" and np.isinf(values).any():
        rows = np.flatnonzero(np.isinf(values))
        raise DataError(
            f"column {name!r} holds {len(rows)} infinite values, {sheet.places(rows)}; "
            "expected finite numbers: replace them, or leave the cells empty to have them treated as missing"
        )


def _unused(cells: pl.Series, name: str, why: str) -> Understood:
    distinct = cells.drop_nulls().n_unique()
    column = Column(name, why, cells.null_count(), distinct, _sample(cells), "not used")
    if why == "identifier":
        told = f"{name} is different in every row and is left out as an identifier; columns = {{{name!r}: 'number'}} keeps it"
        return Understood(column, notices=(told,))
    seen = Evidence(name="distinct values", value=float(distinct), threshold=1.0)
    finding = Finding(
        fault="data.constant",
        severity="note",
        message="data.constant_column",
        values={"column": name},
        evidence=(seen,),
        remedies=(DROP,),
        status="confirmed",
        subject={"columns": [name]},
    )
    return Understood(column, findings=(finding,))


def _mixed(
    sheet: Sheet, reading: Reading, cells: pl.Series, text: pl.Series | None, values: Array
) -> Iterable[Finding]:
    unread = reading.unread(text, values)
    if not len(unread):
        return
    told: dict[str, Any] = {
        "column": reading.name,
        "kind": reading.kind,
        "count": len(unread),
        "example": repr(cells[int(unread[0])]),
        "places": sheet.places(unread),
    }
    yield Finding(
        fault="data.mixed_types",
        severity="warning",
        message="data.mixed_types",
        values=told,
        evidence=(Evidence(name="share", value=len(unread) / max(1, len(cells)), threshold=0.0),),
        remedies=(CLEAN,),
        status="confirmed",
        subject={"columns": [reading.name], "rows": unread[:100].tolist()},
    )


def missing_in(values: Array) -> Array:
    """Which rows miss their value."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    return np.fromiter((value is None for value in values), bool, len(values))


def _missing(name: str, values: Array) -> Iterable[Finding]:
    count = int(missing_in(values).sum())
    if not count:
        return
    share = count / len(values)
    yield Finding(
        fault="data.missing",
        severity="note",
        message="data.missing_cells",
        values={"column": name, "count": count, "share": share},
        evidence=(Evidence(name="share", value=share, threshold=0.0),),
        status="confirmed",
        subject={"columns": [name]},
    )


def described(name: str, reading: Reading, values: Array, source: str) -> Column:
    """The row of a column in the table of columns."""
    gone = missing_in(values)
    present = values[~gone]
    if values.dtype.kind == "f":
        distinct = len(np.unique(present))
        ends = (float(present.min()), float(present.max())) if len(present) else (np.nan, np.nan)
        shown = " to ".join(_date(end) if reading.kind == "date" else f"{end:.6g}" for end in ends)
    else:
        levels = sorted(set(present.tolist()))
        distinct = len(levels)
        shown = ", ".join(_short(level) for level in levels[:3]) + (" …" if distinct > 3 else "")
    return Column(name, reading.kind, int(gone.sum()), distinct, shown, source=source)


def _date(seconds: float) -> str:
    moment = np.datetime64(round(seconds), "s") if np.isfinite(seconds) else np.datetime64("NaT")
    return str(moment).removesuffix("T00:00:00")


def _short(level: str) -> str:
    return level if len(level) <= 24 else level[:23] + "…"


def _sample(cells: pl.Series) -> str:
    return ", ".join(_short(str(value)) for value in cells.drop_nulls().head(3).to_list())
