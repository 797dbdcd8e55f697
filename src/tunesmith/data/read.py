"""Data files as tables or arrays: CSV, Parquet and JSON lines (each also .gz), and npz."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.delimited import decoded, read_delimited
from tunesmith.data.sheet import Sheet
from tunesmith.data.spec import Array
from tunesmith.records import DataError
from tunesmith.records.errors import nearest

if TYPE_CHECKING:
    import polars as pl

TABLES: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
MAGIC: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"PAR1": "Parquet",
    b"PK\x03\x04": "zip (a spreadsheet, an npz file or an archive)",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"%PDF": "PDF",
    b"SQLite format 3": "SQLite",
    b"\xd0\xcf\x11\xe0": "old Excel",
    b"\x89HDF": "HDF5",
}
READABLE = ".csv, .tsv, .parquet, .jsonl (each also .gz), .npz, an idx file, a folder or .zip of pictures by class"


def existing(path: str | Path) -> Path:
    """The path, if there is something at it. Raises `DataError` with the nearest file names of its folder."""
    found = Path(path).expanduser()
    if found.exists():
        return found
    if not found.parent.is_dir():
        raise DataError(f"no file {found}: the folder {found.parent} does not exist; check the path")
    close = nearest(found.name, [entry.name for entry in found.parent.iterdir()])
    hint = "did you mean " + " or ".join(repr(name) for name in close) + "?" if close else "check the path"
    raise DataError(f"no file {found.name!r} in {found.parent}; {hint}")


def table_kind(path: Path) -> str | None:
    """What kind of table the file's ending promises, if any."""
    name = path.name.lower().removesuffix(".gz")
    return TABLES.get(Path(name).suffix)


def read_table(path: str | Path) -> Sheet:
    """The table of a file. Raises `DataError` for one that is missing, empty, cut short or not what its ending says."""
    found = existing(path)
    kind = table_kind(found)
    if kind is None:
        raise DataError(f"{found.name} has an ending that is not known; expected {READABLE}")
    raw = unpacked(found)
    _refuse_foreign(raw, found.name, kind)
    if kind == "csv":
        sheet = read_delimited(raw, found.name)
    elif kind == "jsonl":
        sheet = _read_lines(raw, found.name)
    else:
        sheet = _read_parquet(raw, found.name)
    if not len(sheet):
        raise DataError(f"{found.name} has column names and no rows; expected at least 2 rows of data")
    return sheet


def unpacked(path: Path) -> bytes:
    """The bytes of a file, unzipped if its name ends in .gz."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}; check that it is a file you may read") from None
    if not raw:
        raise DataError(f"{path.name} is empty (0 bytes); expected data")
    if not path.name.lower().endswith(".gz"):
        return raw
    if raw[:2] != b"\x1f\x8b":
        raise DataError(f"{path.name} is not gzip, as its ending says; rename it without .gz, or pack it with gzip")
    try:
        inside = gzip.decompress(raw)
    except EOFError:
        raise DataError(f"{path.name} is cut short: the gzip data end early; copy or download it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name} is damaged ({error}); copy or download it again") from None
    if not inside:
        raise DataError(f"{path.name} is empty once unpacked; expected data")
    return inside


def _refuse_foreign(raw: bytes, name: str, kind: str) -> None:
    for magic, what in MAGIC.items():
        if raw.startswith(magic) and what.lower() != kind:
            raise DataError(f"{name} holds {what} data, not {kind.upper()} as its ending says; rename or convert it")


def _read_parquet(raw: bytes, name: str) -> Sheet:
    import polars as pl

    if not raw.startswith(b"PAR1"):
        raise DataError(f"{name} is not Parquet, as its ending says; rename or convert it")
    if not raw.endswith(b"PAR1"):
        raise DataError(f"{name} is cut short: a Parquet file ends with PAR1; copy or download it again")
    try:
        frame = pl.read_parquet(io.BytesIO(raw))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name} is damaged and cannot be read as Parquet ({error}); write it again") from None
    return Sheet(frame, name)


def _read_lines(raw: bytes, name: str) -> Sheet:
    text, notices = decoded(raw, name)
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        records.append(_record(line, number, name))
        lines.append(number)
    if not records:
        raise DataError(f"{name} holds no text; expected one JSON object a line")
    names = dict.fromkeys(key for record in records for key in record)
    frame = frame_of({key: [record.get(key) for record in records] for key in names})
    return Sheet(frame, name, np.asarray(lines, np.int64), False, notices)


def _record(line: str, number: int, name: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"line {number} of {name} is not JSON ({error.msg}); expected one object a line") from None
    if not isinstance(record, dict):
        raise DataError(f"line {number} of {name} holds a {type(record).__name__}; expected one JSON object a line")
    return record


def frame_of(columns: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of columns; one whose values are of several kinds becomes text, as it would be in a CSV file."""
    import polars as pl

    return pl.DataFrame([_series(str(name), values) for name, values in columns.items()])


def _series(name: str, values: Any) -> pl.Series:
    import polars as pl

    if isinstance(values, pl.Series):
        return values.rename(name)
    if isinstance(values, np.ndarray) and values.dtype != object:
        return pl.Series(name, values if values.flags.c_contiguous else np.ascontiguousarray(values))
    listed = [None if _absent(value) else value for value in values]
    kinds = {type(value) for value in listed if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        try:
            return pl.Series(name, listed, strict=len(kinds) <= 1)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            return pl.Series(name, [None if value is None else str(value) for value in listed], pl.String)
    return pl.Series(name, [None if value is None else _as_text(value) for value in listed], pl.String)


def _absent(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType")  # pandas' own missing values


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_arrays(path: str | Path) -> dict[str, Array]:
    """The arrays of an npz file by name. Raises `DataError` where it is not one, or holds pickled objects."""
    found = existing(path)
    with found.open("rb") as file:
        start = file.read(4)
    if not start.startswith(b"PK"):
        came = "empty" if not start else "no npz archive, as its ending says"
        raise DataError(f"{found.name} is {came}; write it with np.savez(path, X=…, y=…)")
    try:
        # np.load leaves a file open that it cannot read
        with found.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{found.name} cannot be read as npz ({error}); write it again with np.savez") from None
    except ValueError as error:
        raise DataError(
            f"{found.name} is no npz file of plain arrays ({error}); write it with np.savez, without objects"
        ) from None
