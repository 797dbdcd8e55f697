"""Text to learn from: plain text files, JSON lines and tables of chats, or rows in memory, read into samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.delimited import decoded
from tunesmith.data.language.forms import KNOWN, BadRow, form_of, sample_of
from tunesmith.data.language.samples import Sample
from tunesmith.data.read import existing, table_kind, unpacked
from tunesmith.data.sources import is_frame, is_path, sheet_of
from tunesmith.records import DataError, Task

PLAIN = (".txt", ".md")
LINES = (".jsonl", ".ndjson", ".json")
LOOKED_AT = 65_536  # bytes of a file that are enough to see its first row; assumption


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples of one source, and what was found on the way."""

    samples: tuple[Sample, ...]
    form: str
    name: str
    notices: tuple[str, ...] = ()


def read_samples(data: Any, *, bad_rows: str = "error") -> Reading:
    """The samples of a text file, of JSON lines, of a table, or of a list of rows or texts.

    A row that cannot be used raises `DataError` with its place; with `bad_rows = "drop"` it is left out, counted and told.
    """
    notices: list[str] = []
    name, records = _records(data, notices)
    if isinstance(records, str):
        if not records.strip():
            raise DataError(f"{name} holds no text; expected some to learn from")
        return Reading((Sample(0, f"line 1 of {name}", records),), "plain text", name, tuple(notices))
    if not records:
        raise DataError(f"{name} holds no rows; expected at least 2 texts or conversations")
    form = next((found for _, record in records if (found := form_of(record)) is not None), None)
    if form is None:
        came = ", ".join(map(str, list(records[0][1])[:6])) or "none"
        raise DataError(f"{name} holds no text to learn from: the keys of its first row are {came}; expected {KNOWN}")
    samples: list[Sample] = []
    refused: list[str] = []
    worse = 0
    for row, (place, record) in enumerate(records):
        if record.get("label") is False:
            worse += 1
            continue
        try:
            samples.append(sample_of(record, form, row, place))
        except BadRow as error:
            refused.append(f"{place}: {error}")
    _tell_refused(refused, bad_rows, notices)
    if not samples:
        raise DataError(f"{name} has no row left to learn from; expected at least 2 texts or conversations")
    notices.insert(0, f"{name}: read as {form}, {len(samples)} {'texts' if form == 'text' else 'conversations'}")
    if worse:
        notices.append(f"{worse} rows of {name} are marked as worse answers (label: false) and are not learnt from")
    if any("chosen" in record for _, record in records):
        notices.append(
            f"{name} holds pairs of answers: the chosen one is the reply, the rejected one is not learnt from"
        )
    return Reading(tuple(samples), form, name, tuple(notices))


def _tell_refused(refused: list[str], bad_rows: str, notices: list[str]) -> None:
    if not refused:
        return
    more = f" ({len(refused)} rows are like this or otherwise unusable)" if len(refused) > 1 else ""
    if bad_rows == "error":
        raise DataError(f"{refused[0]}{more}; mend the row, or leave such rows out with data.bad_rows = 'drop'")
    notices.append(
        f"{len(refused)} rows cannot be used and are left out (data.bad_rows = 'drop'); the first: {refused[0]}"
    )


def is_text(task: Task) -> bool:
    """Whether the training data of a task are text to learn from.

    So they are where the task says so and brings no arrays of its own; and where it says nothing and names no target: a text
    file, and rows in one of the forms of a chat.
    """
    if task.kind == "language":
        return _readable(task.train)
    if task.kind != "auto" or task.target is not None:
        return False
    if is_path(task.train):
        path = Path(task.train).expanduser()
        if _ending(path) in PLAIN:
            return True
        if _ending(path) not in LINES or not path.is_file():
            return False
        return _is_chat(_first(path))
    rows = isinstance(task.train, list) and bool(task.train)
    return rows and isinstance(task.train[0], Mapping) and _is_chat(task.train[0])


def _readable(data: Any) -> bool:
    if is_path(data):
        path = Path(data)
        return _ending(path) in (*PLAIN, *LINES) or table_kind(path) is not None
    if is_frame(data):
        return True
    return isinstance(data, list | tuple) and bool(data) and all(isinstance(one, str | Mapping) for one in data[:3])


def _is_chat(record: Mapping[str, Any] | None) -> bool:
    return record is not None and form_of(record) not in (None, "text", "completion")


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _first(path: Path) -> Mapping[str, Any] | None:
    """The first row of a file of JSON lines, where there is one that can be read."""
    import gzip

    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            text = file.read(LOOKED_AT).decode("utf-8-sig", "replace")
        record, _ = json.JSONDecoder().raw_decode(text.lstrip().removeprefix("[").lstrip())
    except (OSError, EOFError, json.JSONDecodeError):  # whoever reads it in earnest tells what is wrong
        return None
    return record if isinstance(record, Mapping) else None


def _records(data: Any, notices: list[str]) -> tuple[str, str | list[tuple[str, Mapping[str, Any]]]]:
    """The name of a source, and its text or its rows, each with its place."""
    if is_path(data):
        path = existing(data)
        if _ending(path) in PLAIN:
            text, told = decoded(unpacked(path), path.name)
            notices.extend(told)
            return path.name, text
        if _ending(path) in LINES:
            text, told = decoded(unpacked(path), path.name)
            notices.extend(told)
            return path.name, list(_lines(text, path.name))
        if table_kind(path) is None:
            raise DataError(
                f"{path.name} has an ending that is not known; expected .txt, .jsonl, .json, .csv or .parquet"
            )
    elif not is_frame(data):
        return "the data", [_own(one, number) for number, one in enumerate(data)]
    sheet = sheet_of(data)
    rows = sheet.frame.to_dicts()
    return sheet.name, [(sheet.place(number), row) for number, row in enumerate(rows)]


def _own(one: Any, number: int) -> tuple[str, Mapping[str, Any]]:
    if isinstance(one, Mapping):
        return f"row {number} of the data", one
    if isinstance(one, str):
        return f"row {number} of the data", {"text": one}
    raise DataError(f"row {number} of the data is a {type(one).__name__}; expected a text or an object such as {KNOWN}")


def _lines(text: str, name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The objects of JSON lines, or of one JSON list."""
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{name} is no JSON list ({error.msg}, line {error.lineno}); expected objects") from None
        for number, one in enumerate(listed):
            if not isinstance(one, Mapping):
                raise DataError(f"row {number} of {name} is a {type(one).__name__}; expected an object")
            yield f"row {number} of {name}", one
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} of {name} is not JSON ({error.msg}); expected one object a line") from None
        if not isinstance(record, Mapping):
            raise DataError(f"line {number} of {name} holds a {type(record).__name__}; expected one JSON object a line")
        yield f"line {number} of {name}", record
