"""CSV files: encoding, separator, quotes, and rows that do not fit the header. All cells are read as text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tunesmith.data.sheet import Sheet
from tunesmith.data.spec import Array
from tunesmith.records import DataError

if TYPE_CHECKING:
    import polars as pl

DELIMITERS = (",", ";", "\t", "|")
SNIFFED_RECORDS = 100
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read_delimited(raw: bytes, name: str) -> Sheet:
    """The table of a CSV file's bytes. Raises `DataError` with the line where a row does not fit the header."""
    text, notices = decoded(raw, name)
    if not text.strip():
        raise DataError(f"{name} holds no text; expected a line of column names and rows of data")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a field may be a long text
    delimiter = sniffed(text)
    header = next(csv.reader(io.StringIO(text.lstrip("\r\n")), delimiter=delimiter))
    names = column_names(header, name)
    if delimiter != ",":
        notices = (*notices, f"{name} is separated by {NAMES[delimiter]}s")
    quick = None if '"' in text else _plain_cells(text, delimiter, names)
    frame, lines = quick or _quoted_cells(text, delimiter, names, name)
    return Sheet(frame, name, lines, delimiter == ";", notices)


def decoded(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """The text of a file, with a notice where it is not UTF-8."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace"), (f"{name} is encoded as UTF-16",)
    if b"\x00" in raw[:65536]:
        raise DataError(
            f"{name} is not text: it holds zero bytes; expected a CSV file, and a binary file needs its own ending"
        )
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        where = error.start
    encoding = "gb18030" if _chinese(raw) else "cp1252"
    label = "GB18030 (Chinese)" if encoding == "gb18030" else "Windows-1252 (Latin-1)"
    text = raw.decode(encoding) if encoding == "gb18030" else raw.decode("cp1252", "replace")
    line = raw.count(b"\n", 0, where) + 1
    return text, (f"{name} is not UTF-8 (line {line}); it was read as {label}: save it as UTF-8 if letters look wrong",)


def _chinese(raw: bytes) -> bool:
    """Valid GB18030 of mostly frequent characters: GB2312 keeps them below 0xD8, where Latin-1 has capitals only."""
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    foreign = [character for character in text if ord(character) > 127]
    codes = [character.encode("gb18030") for character in foreign]
    frequent = sum(0xA1 <= code[0] <= 0xD7 and code[1] >= 0xA1 for code in codes)
    return 2 * frequent > len(foreign)


def sniffed(text: str) -> str:
    """The separator: the one that cuts most of the first records into as many fields as the header, most fields first.

    >>> sniffed("a;b\\n1,5;2\\n")
    ';'
    """
    sample = text[: 1 << 18]
    best = (0.0, 0, ",")
    for delimiter in DELIMITERS:
        counts = []
        for record in csv.reader(io.StringIO(sample), delimiter=delimiter):
            if record:
                counts.append(len(record))
            if len(counts) == SNIFFED_RECORDS:
                break
        if counts and counts[0] > 1:
            agree = Counter(counts)[counts[0]] / len(counts)
            best = max(best, (agree, counts[0], delimiter), key=lambda found: found[:2])
    return best[2]


def column_names(header: list[str], name: str) -> list[str]:
    """The names of the first line, stripped; an empty one is called by its place. Raises for names that come twice."""
    names = [cell.strip() or f"column_{index}" for index, cell in enumerate(header)]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        shown = ", ".join(repr(column) for column in twice[:3])
        raise DataError(
            f"{name} has {len(twice)} column names twice ({shown}); the first line must name each column once: rename them"
        )
    return names


def _plain_cells(text: str, delimiter: str, names: list[str]) -> tuple[pl.DataFrame, Array] | None:
    """The quick way, for a file without quotes whose rows all fit; None where it has others."""
    import polars as pl

    raw = np.frombuffer(text.encode(), np.uint8)
    if (raw == 13).any():
        raw = np.frombuffer(text.replace("\r\n", "\n").replace("\r", "\n").encode(), np.uint8)
    ends = np.flatnonzero(raw == 10)
    ends = ends if len(ends) and ends[-1] == len(raw) - 1 else np.append(ends, len(raw))
    starts = np.r_[0, ends[:-1] + 1]
    delimiters = np.flatnonzero(raw == ord(delimiter))
    fields = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts) + 1
    filled = ends > starts
    if (fields[filled] != len(names)).any():
        return None
    lines = np.flatnonzero(filled)[1:] + 1
    kept = raw.tobytes() if filled.all() else b"\n".join(line for line in raw.tobytes().split(b"\n") if line)
    if not len(lines):
        return pl.DataFrame({column: [] for column in names}, schema=dict.fromkeys(names, pl.String)), lines
    frame = pl.read_csv(
        kept, separator=delimiter, quote_char=None, infer_schema=False, has_header=False, skip_rows=1, new_columns=names
    )
    return (frame, lines) if frame.height == len(lines) else None


def _quoted_cells(text: str, delimiter: str, names: list[str], name: str) -> tuple[pl.DataFrame, Array]:
    """The careful way: the standard library's reader, row by row."""
    import polars as pl

    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    cells: list[list[str]] = []
    lines: list[int] = []
    begin = 1
    try:
        for record in reader:
            if len(record) > 1 or "".join(record).strip():
                cells.append(record)
                lines.append(begin)
                if len(record) != len(names):
                    _refuse_ragged(record, names, name, len(cells) - 2, begin, reader.line_num)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name} cannot be read as CSV near line {reader.line_num}: {error}; check its quotes"
        ) from None
    columns = zip(*cells[1:], strict=True) if len(cells) > 1 else [[] for _ in names]
    frame = pl.DataFrame(
        [pl.Series(column, list(values), pl.String) for column, values in zip(names, columns, strict=True)]
    )
    return frame, np.asarray(lines[1:], np.int64)


def _refuse_ragged(record: list[str], names: list[str], name: str, row: int, begin: int, end: int) -> None:
    unclosed = f" (it goes on to line {end}: is a quote left open?)" if end > begin + 1 else ""
    raise DataError(
        f"line {begin} of {name} (row {row}) has {len(record)} fields and the header has {len(names)}{unclosed}; "
        "correct that line, or put quotes around a field that holds the separator"
    )
