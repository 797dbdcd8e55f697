"""What programs print: any program, any language; found by the lines that repeat with other numbers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.batches import batches, number
from tunesmith.runs.readers.behaviour import is_curve
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Attempt, Gathering
from tunesmith.runs.readers.lines import ANSI, CLEAN, PROGRESS, Reader
from tunesmith.runs.readers.naming import role_of
from tunesmith.runs.readers.opening import HEAD, Lines, encoding_of, head_of, is_text
from tunesmith.runs.readers.roles import IGNORE, Role
from tunesmith.runs.readers.settings import UNSET
from tunesmith.runs.readers.shaping import Log, histories
from tunesmith.runs.readers.tables_in_text import header_of, piped, row_of

LONG = 20000  # characters of a line; a longer one is data that was printed
ERROR = re.compile(
    r"^\s*(?:[\w.]*(?:Error|Exception|Interrupt|Exit|OutOfMemory)\b(?::|$)|\S+: error: |.*\bCUDA out of memory\b|Killed\b|Segmentation fault)"
)
TRACE = "Traceback (most recent call last)"
USAGE = re.compile(r"^\s*usage:\s", re.IGNORECASE)
KERAS = re.compile(r"\d+/(?:\d+|Unknown).*(?:ETA|/step|step)\b.* - ")
DECIMAL_COMMA = re.compile(r"(?<![\d.,])\d+,\d+(?![\d.,])")
DECIMAL_POINT = re.compile(r"(?<![\d.,:])\d+\.\d+(?![\d.,:])")


def takes(path: Path, head: bytes) -> bool:
    return not path.is_dir() and is_text(head)


@reader("printed", order=90, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    text = Text(path, roles)
    gathered = text.gathered.take(batches(text))
    counted = counts(gathered)
    most = max((counted[column] for column in counted if tells(gathered.roles[column])), default=0)
    framed = bool(gathered.frames["step"] or gathered.frames["epoch"])
    if not most or (not framed and (most < 3 or still(gathered))):
        raise DataError(text.nothing())
    log = text.log()
    rates = drop_said_once(gathered, counted) if most > 2 else []
    return histories(gathered, replace(log, facts={"lr": rates[0]} | dict(log.facts) if rates else log.facts))


def tells(role: Role) -> bool:
    """A curve, or one called only by its part."""
    return is_curve(role) or (role.kind == "value" and role.name == "value" and bool(role.part))


def still(gathered: Gathering) -> bool:
    """Whether no number ever changes."""
    columns = [p.column() for attempt in attempts(gathered) for p in attempt.columns.values()]
    return all(len(np.unique(column.values)) <= 1 for column in columns)


def attempts(gathered: Gathering) -> list[Attempt]:
    return [attempt for run in gathered.runs.values() for lane in run.values() for attempt in lane.attempts]


def counts(gathered: Gathering) -> dict[str, int]:
    found: dict[str, int] = {}
    for attempt in attempts(gathered):
        for (column, _), points in attempt.columns.items():
            found[column] = found.get(column, 0) + points.counted
    return found


def drop_said_once(gathered: Gathering, counted: dict[str, int]) -> list[float]:
    """Numbers said once in a log of curves are no curves, but for a last test; the rates among them are told as such."""
    rates = []
    for attempt in attempts(gathered):
        for key in [key for key in attempt.columns if counted[key[0]] == 1]:
            role = gathered.role(key[0])
            if role.name == "lr":
                rates.append(float(attempt.columns[key].column().values[0]))
            if role.part != "test" and not gathered.asked_for(key[0]):
                del attempt.columns[key]
                gathered.roles[key[0]] = IGNORE
    return rates


def uses_decimal_comma(head: bytes) -> bool:
    """Whether numbers are written as 0,5: commas between digits, and no points."""
    text = head.decode(encoding_of(head), "replace")
    commas, points = len(DECIMAL_COMMA.findall(text)), len(DECIMAL_POINT.findall(text))
    grouped = len(re.findall(r"(?<![\d.,])[1-9]\d{0,2},\d{3}(?![\d.,])", text))
    return commas - grouped > 2 * points and commas > 3


class Text:
    """The records of a printed log, line by line; what was seen of errors and settings on the way."""

    def __init__(self, path: Path, roles: Roles) -> None:
        head = head_of(path, HEAD)
        self.path, self.lines = path, Lines(path, head, newline="\n")
        self.gathered = Gathering(str(path), roles)
        self.reader = Reader(self.gathered.asked, uses_decimal_comma(head))
        self.header: tuple[str, ...] = ()
        self.error, self.usage, self.tracing, self.number = "", False, False, 0
        self.above: list[str] = []  # cells of the line before

    def __iter__(self) -> Iterator[dict[str, float]]:
        for whole in self.lines:
            self.number += 1
            if len(whole) > LONG and "\r" not in whole:
                continue
            for line in pieces(whole):
                if not self.tracing and self.reader.knows(line):
                    found = self.reader.record(line)
                elif self._trouble(line):
                    continue
                elif (found := self._tabular(line)) is None:
                    found = self.reader.record(line)
                if found:
                    self.error = ""  # the program went on
                    yield found

    def _trouble(self, line: str) -> bool:
        """Tracebacks and usage text are looked at for what they end with."""
        if TRACE in line:
            self.tracing = True
            return True
        if self.tracing:
            if line[:1] not in (" ", "\t", "\n", "") and ERROR.match(line):
                self.error, self.tracing = line.strip()[:200], False
            return True
        if ERROR.match(line):
            self.error = line.strip()[:200]
            return True
        if USAGE.match(line):
            self.usage = True
        return False

    def _tabular(self, line: str) -> dict[str, float] | None:
        if self.header:
            row = row_of(line.translate(CLEAN), self.header)
            if row is not None:
                for name, total in row[1].items():
                    self.reader.totals.setdefault(name, {})[total] = 1
                return {name: value for name, value in row[0].items() if keeps(name, self.gathered)}
        if line and not line.lstrip()[:1].isdigit():
            header = header_of(self._with_line_before(line.translate(CLEAN)))
            if header:
                self.header = header
                self.reader.forget()
                return {}
        return None

    def _with_line_before(self, line: str) -> str:
        """A header of two lines, as MATLAB writes it, as one."""
        cells, above = piped(line), self.above
        self.above = cells
        if len(cells) > 2 and len(cells) == len(above) and not any(number(cell) is not None for cell in above):
            return " | ".join(f"{a} {b}".strip() for a, b in zip(above, cells, strict=True))
        return line

    def log(self) -> Log:
        """What the log tells beside its rows."""
        facts: dict[str, object] = {}
        framed = {
            name: max(counts, key=lambda total: counts[total]) for name, counts in self.reader.totals.items() if counts
        }
        length, share = None, False
        for name, total in framed.items():
            kind = "step" if name == PROGRESS else role_of(name).kind
            if not 0 < total < UNSET:
                continue
            if kind == "epoch":
                facts["epochs"] = int(total)
            elif kind == "step" and self.gathered.frames["epoch"] and (self.gathered.anew or name == PROGRESS):
                length, share = max(total, length or 0), share or name == PROGRESS
            elif kind == "step":
                facts["steps"] = int(total)
        if length and not share:
            facts["steps_per_epoch"] = int(length)
        notices = list(self.lines.notices)
        if self.error:
            notices.append(Notice("readers.crashed", error=self.error))
            raised, _, message = self.error.partition(": ")
            facts["crash"] = {"kind": raised.rpartition(".")[2].strip(), "message": message or self.error}
            facts["finished"] = False
        return Log("printed", str(self.path), facts, tuple(notices), length, share)

    def nothing(self) -> str:
        """One sentence on a text without a curve."""
        told = f"{self.path} is no training curve"
        if self.usage and self.error:
            return f"{told}: it holds the usage text of a program and ends with {self.error!r}; the training never began: mend the command first"
        if self.error:
            return f"{told}: it ends with {self.error!r} before a loss was printed twice; mend that error first"
        return (
            f"{told}: in {self.number} lines no loss or score stands beside numbers that change; expected lines such as "
            "`epoch 3 loss 0.12`; if a number is one, say which with `--map 'WORDS BEFORE IT=train loss'`"
        )


def keeps(name: str, gathered: Gathering) -> bool:
    role = gathered.role(name)
    return (
        role.kind in ("step", "epoch", "fact", "run")
        or (role.kind == "value" and role.known)
        or gathered.asked_for(name)
    )


def pieces(line: str) -> list[str]:
    """A line as it stood at the end of each of its updates: bars that overwrite themselves; of Keras' the last alone, a mean of the epoch."""
    if "\x1b" in line:
        line = ANSI.sub("", line)
    if "\x08" in line:
        line = re.sub("\x08+", "\r", line)
    line = line.rstrip("\r\n")
    if "\r" not in line:
        return [line]
    found = [piece for piece in line.split("\r") if piece.strip()]
    if len(found) > 1 and KERAS.search(found[-1]):
        return [piece for piece in found if not KERAS.search(piece)] + found[-1:]
    return found
