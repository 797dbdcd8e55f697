"""JSON in one piece: Keras' History.history, lists of records, nested results; one run or several."""

import io
import json
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.batches import ROWS, Batch, Mask, batches, cell_number
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Gathering
from tunesmith.runs.readers.json_stream import CHUNK, Pieces
from tunesmith.runs.readers.naming import part_of, role_of, split
from tunesmith.runs.readers.opening import CUT, encoding_of, head_of, is_text, opened
from tunesmith.runs.readers.records_of import PLAIN, Records
from tunesmith.runs.readers.settings import facts_of
from tunesmith.runs.readers.shaping import Log, histories

LARGE = 64 << 20  # bytes; assumption: what is longer is read in pieces
PAIRED = {
    "steps": ("steps", "step", "iterations", "iters", "iter", "epochs", "epoch", "x"),
    "values": ("values", "value", "y", "losses"),
}
NUMBERED = re.compile(r"^\s*(?:epoch|step|iter|iteration|round)?[_\- ]*(\d+)\s*$", re.IGNORECASE)


@dataclass
class Content:
    """What a document holds of one run: lists of numbers by name, records, settings."""

    columns: dict[str, Any] = field(default_factory=dict)
    records: list[Any] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    pairs: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # steps and values of one curve


def takes(path: Path, head: bytes) -> bool:
    return (
        not path.is_dir()
        and is_text(head)
        and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
        and not bracketed_log(head)
    )


def bracketed_log(head: bytes) -> bool:
    """A printed log whose lines begin with a bracket: `[10] train-rmse: 0.5`, `[2020-01-01 …]`, `{'loss': 0.5}`."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        text = start.decode("utf-8", "replace")
        _, end = json.JSONDecoder(strict=False).raw_decode(text)
        return bool(text[end:].split("\n")[0].strip())
    except ValueError:
        pass
    if start[:1] == b"{":
        return not re.match(rb'\{\s*("|\})', start)
    return not re.match(rb'\[\s*([\[{"\]]|(?:NaN|-?Infinity|[-+.\d][\w.+-]*)\s*[,\]]\s*([-+.\d\s,]|$))', start)


@reader("json", order=45, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    runs, notices = contents(path)
    found: list[History] = []
    for name, content in runs.items():
        records = Records(content.records)
        gathered = Gathering(str(path), roles)
        lengths = sorted({len(column) for column in content.columns.values()})
        gathered.take(columnwise(content.columns))
        gathered.take(batches(records))
        gathered.take(of_pair(name, *pair) for name, pair in content.pairs.items())
        said = [Notice("readers.lengths", lengths=", ".join(map(str, lengths)))] if len(lengths) > 1 else []
        facts = facts_of(content.settings) | records.facts
        found += histories(gathered, Log("json", f"{path}: {name}" if name else str(path), facts, (*notices, *said)))
    if len(runs) > 1:
        found = several(found)
    return found


def several(found: list[History]) -> list[History]:
    from dataclasses import replace

    said = Notice("readers.several_runs", count=len(found))
    return [replace(one, notices=tuple(dict.fromkeys((said, *one.notices)))) for one in found]


def contents(path: Path) -> tuple[dict[str, Content], list[Notice]]:
    """What stands in a document, by run; a large or damaged one is read in pieces."""
    stem = path.name.split(".")[0]
    notices: list[Notice] = []
    with opened(path) as packed, io.TextIOWrapper(packed, encoding_of(head_of(path)), "replace") as text:
        if path.stat().st_size < LARGE:
            try:
                whole = text.read()
                try:
                    return by_run(json.loads(whole.lstrip("\ufeff"), strict=False), stem, path), notices
                except ValueError:
                    pieces = Pieces([whole])
            except CUT:
                raise DataError(f"{path} is cut short and nothing of it can be unpacked; copy it again") from None
        else:
            pieces = Pieces(iter(lambda: text.read(CHUNK), ""))
        content = in_pieces(pieces, stem)
    if pieces.cut:
        notices.append(Notice("readers.cut_line"))
    if not content.columns and not content.records:
        raise DataError(
            f'{path} is no JSON that can be read: it holds no list of numbers and no records; expected for example {{"loss": [0.9, 0.5]}}'
        )
    return {"": content}, notices


def in_pieces(pieces: Pieces, stem: str) -> Content:
    """Lists of numbers as arrays of 8 bytes a number, records one after the other."""
    content = Content()
    for way, value in pieces:
        name = "/".join(step for step in way if step.casefold() not in PLAIN) or stem
        if isinstance(value, dict):
            content.records.append(value)
        elif (number := cell_number(value)) is not None and way:
            content.columns.setdefault(name, array("d")).append(number)
    lone = {name for name, column in content.columns.items() if len(column) == 1}
    longest = max(map(len, content.columns.values()), default=0)
    for name in lone if longest > 1 else ():
        content.settings[name] = content.columns.pop(name)[0]
    return content


def by_run(document: Any, stem: str, path: Path) -> dict[str, Content]:
    """The runs of a document."""
    if isinstance(document, list):
        histories_ = [one for one in document if isinstance(one, dict) and sum(is_series(v) for v in one.values()) >= 1]
        if len(histories_) > 1 and len(histories_) == len(document):
            return {f"run {i + 1}": content_of(one, stem) for i, one in enumerate(document)}
        return {"": content_of({stem: document}, stem)}
    if not isinstance(document, dict):
        raise DataError(
            f'{path} holds a single {type(document).__name__}; expected lists of numbers or records, for example {{"loss": [0.9, 0.5]}}'
        )
    runs = {
        name: value
        for name, value in document.items()
        if isinstance(value, dict) and sum(is_series(v) for v in value.values()) >= 1
    }
    parts = [name for name in runs if part_of(split(name)) or name.casefold() in PLAIN]
    alike = len({frozenset(k for k, v in run.items() if is_series(v)) for run in runs.values()}) == 1
    if (
        len(runs) > 1
        and not parts
        and alike
        and all(
            (role_of(k).kind == "value" and role_of(k).known) or role_of(k).kind != "value"
            for k in next(iter(runs.values()))
        )
    ):
        return {name: content_of(run, stem) for name, run in runs.items()}
    if len(document) > 1 and all(
        NUMBERED.match(str(name)) and isinstance(value, dict) for name, value in document.items()
    ):
        records = [{"epoch": int(NUMBERED.match(name)[1])} | value for name, value in document.items()]  # type: ignore[index]
        return {"": Content(records=records)}
    return {"": content_of(document, stem)}


def is_series(value: Any) -> bool:
    """A list of numbers, or numbers under the keys "0", "1", …, as pandas writes a column."""
    if isinstance(value, dict):
        return (
            len(value) > 1
            and all(str(k).isdigit() for k in value)
            and any(cell_number(v) is not None for v in value.values())
        )
    return (
        isinstance(value, list)
        and bool(value)
        and sum(cell_number(v) is not None or v is None for v in value) > 0.5 * len(value)
    )


def content_of(document: Mapping[str, Any], stem: str) -> Content:
    """Lists, records and settings at any depth; containers that only say "history" add nothing to a name."""
    content = Content()

    def walk(value: Mapping[str, Any], prefix: str, depth: int) -> None:
        for name, one in value.items():
            name = str(name)
            whole = prefix + name
            if isinstance(one, dict) and (pair := pair_of(one)):
                content.pairs[whole] = pair
            elif is_series(one):
                numbers = one.values() if isinstance(one, dict) else one
                content.columns[whole] = [cell_number(v) for v in numbers]
            elif isinstance(one, list) and one and isinstance(one[0], dict):
                role = part_of(split(name)) if name.casefold() not in PLAIN else ""
                content.records += [
                    {"part": role, **record} if role else record for record in one if isinstance(record, dict)
                ]
            elif isinstance(one, list) and one and all(isinstance(row, list) for row in one):
                content.columns |= nested(whole, one)
            elif isinstance(one, dict) and depth:
                walk(one, prefix if name.casefold() in PLAIN else f"{whole}/", depth - 1)
            else:
                content.settings[whole] = one

    walk(document, "", 4)
    longest = max(map(len, content.columns.values()), default=0)
    for name in [name for name, column in content.columns.items() if len(column) < longest and not role_of(name).known]:
        content.settings[name] = content.columns.pop(name)  # as the epochs at which phases begin: no curve
    return content


def pair_of(value: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Steps and values, where that is all that a dictionary holds beside times."""
    by_kind = {kind: [v for k, v in value.items() if k.casefold() in names] for kind, names in PAIRED.items()}
    steps, values = by_kind["steps"], by_kind["values"]
    if (
        len(steps) == len(values) == 1
        and is_series(steps[0])
        and is_series(values[0])
        and len(steps[0]) == len(values[0])
    ):
        return steps[0], values[0]
    return None


def nested(name: str, rows: Sequence[Sequence[Any]]) -> dict[str, list[float]]:
    """Lists in a list: `[wall time, step, value]` as TensorBoard gives them, else one list of values an epoch."""
    numbers = [[cell_number(v) for v in row] for row in rows]
    if all(len(row) == 3 and None not in row for row in numbers):
        columns = [[float(v) for v in column if v is not None] for column in zip(*numbers, strict=True)]
        if all(a < b for a, b in zip(columns[1], columns[1][1:], strict=False)) and min(columns[0]) > 1e8:
            return {"wall time": columns[0], "step": columns[1], name: columns[2]}
    return {name: [value for row in numbers for value in row if value is not None]}


def columnwise(columns: Mapping[str, Any]) -> Iterator[Batch]:
    """Lists of equal length side by side; those of other lengths on the axis of the longest, by their number."""
    if not columns:
        return
    frames = {name for name in columns if role_of(name).kind in ("step", "epoch")}
    longest = max(map(len, columns.values()))
    for length in sorted({len(column) for column in columns.values()}, reverse=True):
        mine = {name: column for name, column in columns.items() if len(column) == length}
        arrays = {name: np.asarray(column, np.float64) for name, column in mine.items()}
        axis = [name for name in mine if name in frames]
        if not axis and length > 1 and (length != longest or len({len(c) for c in columns.values()}) > 1):
            arrays["step"] = np.round((np.arange(length) + 1) * (longest / length))
        for begin in range(0, length, ROWS):
            cells = {name: values[begin : begin + ROWS] for name, values in arrays.items()}
            rows = len(next(iter(cells.values())))
            kept = {
                ("step" if name in axis and role_of(name).kind == "step" else name): values
                for name, values in cells.items()
            }
            numbers = {name: (values, there(columns.get(name), begin, rows)) for name, values in kept.items()}
            yield Batch(rows, numbers, lanes=[str(length)] * rows)


def of_pair(name: str, steps: Any, values: Any) -> Batch:
    cells = {"step": np.asarray(steps, np.float64), name: np.asarray([cell_number(v) for v in values], np.float64)}
    return Batch(
        len(values),
        {column: (found, np.ones(len(values), bool)) for column, found in cells.items()},
        lanes=[name] * len(values),
    )


def there(column: Any, begin: int, rows: int) -> Mask:
    """Where a list has numbers, not null."""
    if not isinstance(column, list):
        return np.ones(rows, bool)
    return np.array([value is not None for value in column[begin : begin + rows]])
