"""Cells of text as numbers, truth values and dates, each by one style that holds for the whole column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tunesmith.data.spec import Array

if TYPE_CHECKING:
    import polars as pl

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "?", "-", "--", "none", "nil", "missing", "<na>", "nat"})
MISSING_LABELS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "?", "<na>", "nat"})  # "none" may well be a class
TRUTH: Mapping[str, float] = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0}

THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
COMMA = r"^[+-]?\d+(,\d+)?([eE][+-]?\d+)?$"
AFFIX = r"^[$€£¥￥]\s*|\s*[%％€元]$"
CODE = r"^0\d+$"  # 01234 is a code: as a number it would lose its zero

DATE_STYLES = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d-%m-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%Y年%m月%d日",
    "%Y-%m",
    "%H:%M:%S",
    "%H:%M",
)
EARLIEST = float(np.datetime64("1000-01-01", "s").astype(np.int64))  # %Y reads a year of two digits as the year 11


def stripped(series: pl.Series, markers: frozenset[str] = MISSING) -> pl.Series:
    """Text without spaces around it, and null for a marker of a missing value."""
    import polars as pl

    bare = series.str.strip_chars()
    return pl.select(pl.when(bare.str.to_lowercase().is_in(list(markers))).then(None).otherwise(bare)).to_series()


def number_style(text: pl.Series, decimal_comma: bool) -> tuple[str, Array]:
    """The style that reads the cells as numbers, and the numbers.

    "plain" 1.5, "grouped" 1,500.5, "comma" 1,5; the latter two also with a currency or per cent sign.
    """
    plain = as_numbers(text, "plain")
    filled = int(text.len() - text.null_count())
    if (~np.isnan(plain)).sum() == filled:
        return "plain", plain
    for style in ("comma", "grouped") if decimal_comma else ("grouped", "comma"):
        read = as_numbers(text, style)
        if (~np.isnan(read)).sum() == filled:  # an unusual style counts only if it explains every cell
            return style, read
    return "plain", plain


def as_numbers(text: pl.Series, style: str) -> Array:
    """float64, NaN for a cell that is missing or no number of this style."""
    import polars as pl

    bare = text if style == "plain" else text.str.replace_all(AFFIX, "")
    if style == "grouped":
        fitting = bare.str.contains(THOUSANDS)
        bare = pl.select(pl.when(fitting).then(bare.str.replace_all(",", "")).otherwise(bare)).to_series()
    elif style == "comma":
        fitting = bare.str.contains(COMMA)
        bare = pl.select(pl.when(fitting).then(bare.str.replace(",", ".", literal=True))).to_series()
    return bare.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().copy()


def as_truth(text: pl.Series) -> Array:
    """1 for yes and true, 0 for no and false, NaN else."""
    import polars as pl

    truth = text.str.to_lowercase().replace_strict(dict(TRUTH), default=None, return_dtype=pl.Float64)
    return truth.fill_null(float("nan")).to_numpy().copy()


def date_style(text: pl.Series) -> tuple[str, float]:
    """The style that reads most of the different cells as dates, and the share it reads; ("", 0) if none does."""
    filled = text.drop_nulls().unique(maintain_order=True)
    few = filled.head(50)
    best = ("", 0.0)
    for style in DATE_STYLES:
        if len(few) and 2 * (~np.isnan(as_dates(few, style))).sum() > len(few):
            share = float((~np.isnan(as_dates(filled, style))).mean())
            best = (style, share) if share > best[1] else best
        if best[1] == 1.0:
            break
    return best


def other_order(style: str) -> str | None:
    """The style with day and month exchanged, where both are numbers in this order."""
    return style.replace("%m/%d", "%d/%m") if "%m/%d/" in style else None


def as_dates(text: pl.Series, style: str) -> Array:
    """Seconds since 1970 (or since midnight), NaN for a cell that is missing or no date of this style."""
    if style.startswith("%H"):
        return seconds_of(text.str.to_time(style, strict=False))
    return seconds_of(text.str.to_datetime(style, strict=False, time_unit="us", ambiguous="earliest"))


def seconds_of(moments: pl.Series) -> Array:
    """Dates, moments, times of day and durations as float64 seconds, NaN for a missing one."""
    import polars as pl

    kind = moments.dtype
    if kind == pl.Date:
        ticks, unit = moments.cast(pl.Int64), 1 / 86400
    elif kind == pl.Time:
        ticks, unit = moments.cast(pl.Int64), 1e9
    elif isinstance(kind, pl.Duration):
        ticks, unit = moments.dt.total_microseconds(), 1e6
    else:
        ticks, unit = moments.dt.epoch("us"), 1e6
    seconds: Array = ticks.cast(pl.Float64).fill_null(float("nan")).to_numpy() / unit
    return np.where(seconds < EARLIEST, np.nan, seconds)
