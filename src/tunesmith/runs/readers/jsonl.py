"""JSON, one record a line: metrics of Detectron2, MMEngine, fairseq, Transformers, trackers and loops of one's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.batches import batches
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Gathering
from tunesmith.runs.readers.opening import Lines, encoding_of, head_of, is_text
from tunesmith.runs.readers.records_of import Records
from tunesmith.runs.readers.shaping import Log, histories


def takes(path: Path, head: bytes) -> bool:
    """Two or more lines, each a record; or one where the name says so."""
    if path.is_dir() or not is_text(head) or not head.lstrip().startswith(b"{"):
        return False
    lines = [line for line in head.decode(encoding_of(head), "replace").split("\n") if line.strip()][:3]
    whole = [is_record(line) for line in lines]
    named = path.name.casefold().removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    return whole[0] and (len(lines) > 1 or named) and (len(whole) < 3 or whole[1])


def is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@reader("jsonl", order=40, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    found = Found(path)
    records = Records(found)
    gathered = Gathering(str(path), roles).take(batches(records))
    return histories(gathered, Log("jsonl", str(path), records.facts, tuple(found.notices())))


class Found:
    """The records of a file; lines that are none are counted."""

    def __init__(self, path: Path) -> None:
        self.lines = Lines(path, head_of(path))
        self.odd = self.first_odd = self.last_odd = self.number = 0

    def __iter__(self) -> Iterator[Any]:
        load = json.loads
        for number, line in enumerate(self.lines, 1):
            self.number = number
            try:
                yield load(line)
            except ValueError:
                if line.strip():
                    self.odd += 1
                    self.first_odd, self.last_odd = self.first_odd or self.number, self.number

    def notices(self) -> list[Notice]:
        cut = self.odd > 0 and self.last_odd == self.number
        found = [Notice("readers.cut_line")] if cut else []
        if self.odd - cut:
            found.append(Notice("readers.bad_lines", count=self.odd - cut, line=self.first_odd))
        return found + self.lines.notices
