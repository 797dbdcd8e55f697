"""Tables of text: metrics.csv of Lightning, Keras' CSVLogger, exports of trackers, plain ones; any delimiter, decimal comma, comments."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.batches import ROWS, Batch, number, of_cells
from tunesmith.runs.readers.blocks import LARGE, blocks, parsed
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Gathering
from tunesmith.runs.readers.naming import role_of
from tunesmith.runs.readers.opening import PACKED, Lines, encoding_of, head_of, is_text
from tunesmith.runs.readers.settings import facts_beside
from tunesmith.runs.readers.shaping import Log, histories

COMMENT = ("#", "//", "%")
COMMENTED = ("#", "/", "%")
DELIMITERS = ("\t", ";", ",", "|", " ")
LOOKED_AT = 200  # assumption: lines by which the form of a table is known
DECIMAL_COMMA = re.compile(r"^[-+]?\d+,\d+([eE][-+]?\d+)?$")
TABLES = frozenset((".csv", ".tsv", ".tab", ".dat"))
EXPORTED = re.compile(r"^(?P<run>.+) - (?P<metric>[^-]+?)(?P<end>__MIN|__MAX)?$")
TAG = re.compile(r"tag-(.+)$")


@dataclass(frozen=True, slots=True)
class Form:
    """How a table is written."""

    delimiter: str
    header: tuple[str, ...]  # made up where there is none
    has_header: bool
    decimal_comma: bool
    skip: int  # lines before the header
    numeric: float  # share of cells below the header that are numbers or empty


def cells_of(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def form_of(head: bytes) -> Form | None:
    """The form of a table, None where the lines are none."""
    text = head.decode(encoding_of(head), "replace").lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    lines = lines[: -1 if len(lines) > 3 else None][:LOOKED_AT]  # the last may be cut short
    found = [form for delimiter in DELIMITERS if (form := _form(lines, delimiter))]
    return max(found, key=lambda form: (round(form.numeric, 1), len(form.header) > 1), default=None)


def _form(lines: Sequence[str], delimiter: str) -> Form | None:
    kept = [
        (i, cells_of(line, delimiter))
        for i, line in enumerate(lines)
        if line.strip() and not line.lstrip().startswith(COMMENT)
    ]
    if not kept or (delimiter == " " and len(kept) < 3):
        return None
    widths = [len(cells) for _, cells in kept]
    width = max(set(widths), key=widths.count)
    if widths.count(width) < 0.8 * len(widths) or (width == 1 and delimiter != ","):
        return None
    first = next(k for k, (_, cells) in enumerate(kept) if len(cells) == width)
    early = next((k for k in range(first) if begins(kept[k][1], kept[k + 1][1])), first)
    first, width = early, len(kept[early][1])
    at, header = kept[first]
    body = [cells for _, cells in kept[first:] if len(cells) == width]
    comma = (
        delimiter != ","
        and any(DECIMAL_COMMA.match(cell) for cells in body for cell in cells)
        and not any("." in c for r in body[1:] for c in r)
    )
    named = sum(is_number(cell, comma) for cell in header) <= 0.2 * width and any(header)
    if not named:
        names = _commented(lines[:at], delimiter, width)
        share = _numeric(body, comma)
        return (
            Form(delimiter, names or tuple(f"column {i + 1}" for i in range(width)), False, comma, at, share)
            if share > 0.9
            else None
        )
    if len(body) < 2 or len(set(header)) < width - 1:
        return None
    return Form(delimiter, tuple(header), True, comma, at, _numeric(body[1:], comma))


def begins(names: Sequence[str], row: Sequence[str]) -> bool:
    """Whether a line is a header with a row of its own below it, although most rows that follow are of another length."""
    known = sum(
        (role := role_of(name)).kind in ("step", "epoch") or (role.kind == "value" and role.known) for name in names
    )
    return 1 < len(names) == len(row) and known >= 2 and not any(map(is_number, names)) and any(map(is_number, row))


def _commented(lines: Sequence[str], delimiter: str, width: int) -> tuple[str, ...]:
    """A header written as a comment above the numbers."""
    for line in reversed(lines):
        cells = cells_of(line.strip().lstrip("#/%").strip(), delimiter)
        if line.lstrip().startswith(COMMENT) and len(cells) == width:
            return tuple(cells)
    return ()


def is_number(cell: str, comma: bool = False) -> bool:
    return number(cell.replace(",", ".") if comma else cell) is not None


def _numeric(rows: Sequence[Sequence[str]], comma: bool) -> float:
    cells = [cell for row in rows for cell in row]
    return sum(not cell or is_number(cell, comma) for cell in cells) / max(len(cells), 1)


def takes(path: Path, head: bytes) -> bool:
    if path.is_dir() or not is_text(head) or head.lstrip()[:1] in (b"{", b"["):
        return False
    form = form_of(head)
    suffix = path.with_suffix("").suffix if path.suffix in (".gz", ".bz2", ".xz") else path.suffix
    if form is None or suffix.casefold() in (".py", ".yaml", ".toml", ".md"):
        return False
    if suffix.casefold() in TABLES:
        return form.numeric >= 0.3 or form.delimiter in ",;\t"
    known = [name for name in form.header if (role := role_of(name)).kind != "value" or role.known]
    if len(form.header) == 1 and not form.has_header:
        return is_named_curve(path)
    return form.numeric >= (0.9 if form.delimiter == " " else 0.5) and (
        len(form.header) > 1 and (not form.has_header or bool(known))
    )


def is_named_curve(path: Path) -> bool:
    """Whether the name of a file of bare numbers says what they are, as `train_loss.txt`."""
    role = role_of(path.name.split(".")[0])
    return role.kind == "value" and role.known


@reader("csv", order=50, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    return read_table(path, roles, "csv")


def read_table(path: Path, roles: Roles, name: str) -> list[History]:
    """The runs of a table; `name` is the reader that asks."""
    head = head_of(path)
    form = form_of(head)
    if form is None:
        raise DataError(
            f"{path} is no table: its lines have different numbers of cells; expected a header and a row for each step or epoch"
        )
    lines = Lines(path, head, newline=None)
    table = Table(form, path)
    large = (
        path.stat().st_size > LARGE
        and path.suffix not in PACKED
        and lines.encoding == "utf-8"
        and form.delimiter in ",;\t|"
    )
    gathered = Gathering(str(path), roles).take(
        table.in_blocks() if large and not form.decimal_comma else table.batches(lines)
    )
    return histories(gathered, Log(name, str(path), facts_beside(path), (*table.notices(lines.ended), *lines.notices)))


class Table:
    """Rows as batches, and what was odd among them."""

    def __init__(self, form: Form, path: Path) -> None:
        self.form, self.path = form, path
        self.header = named(form.header, path)
        self.usual: set[str] = set()  # words that begin rows, and so no header
        self.odd: list[int] = []  # numbers of lines of another form
        self.number_odd = 0
        self.short_at_end = False

    def notices(self, ended: bool) -> list[Notice]:
        found = []
        count = self.number_odd
        if self.short_at_end and not ended:
            found.append(Notice("readers.cut_line"))
            count -= 1
        if count > 0:
            found.append(Notice("readers.bad_lines", count=count, line=self.odd[0]))
        return found

    def batches(self, lines: Iterable[str], done: int = 0) -> Iterator[Batch]:
        """Lines as batches; `done` of the file came before them."""
        going = iter(lines)
        for _ in range(0 if done else self.form.skip):
            next(going, None)
        rows: Iterable[list[str]] = (
            (line.split() for line in going)
            if self.form.delimiter == " "
            else csv.reader(going, delimiter=self.form.delimiter, skipinitialspace=True)
        )
        done, rest = done or self.form.skip, iter(rows)
        while chunk := list(islice(rest, ROWS)):
            yield from self._pieces(chunk, done)
            done += len(chunk)

    def in_blocks(self) -> Iterator[Batch]:
        """The same batches of a large file, faster: columns of words are known from the first block, the rest are numbers."""
        done, texts = 0, None
        for block in blocks(self.path):
            batch = (
                None
                if texts is None or exports(self.header)
                else parsed(block, self.header, self.form.delimiter, texts)
            )
            if batch is not None:
                done += batch.rows
                yield batch
                continue
            found = list(self.batches(block.decode("utf-8", "replace").splitlines(), done))
            texts = frozenset(name for one in found for name in one.texts) if texts is None else texts
            done += sum(one.rows for one in found) + (not done)
            yield from found

    def _pieces(self, chunk: list[list[str]], done: int) -> Iterator[Batch]:
        """A batch, or several where another header stands among the rows."""
        width = len(self.header)
        self.short_at_end = False
        plain = list(self.form.header) not in chunk and set(map(len, chunk)) == {width}
        if plain and not any(row[0][:1].isalpha() or row[0][:1] in COMMENTED for row in chunk):
            yield from self._batch(chunk)
            return
        good: list[list[str]] = []
        for at, row in enumerate(chunk):
            if not row or row[0].startswith(COMMENT) or not "".join(row).strip("-= \t"):
                continue
            if self._is_header(row):
                if good:
                    yield from self._batch(good)
                good, self.header = [], named([cell.strip() for cell in row], self.path)
                width = len(self.header)
            elif len(row) == width:
                if row[0][:1].isalpha() and len(self.usual) < 1000:
                    self.usual.add(row[0].strip())
                good.append(row)
            elif len(row) > width and not "".join(row[width:]).strip():
                good.append(row[:width])
            else:
                self._odd(done + at + 1)
                self.short_at_end = at == len(chunk) - 1
                if len(row) < width and not self.short_at_end and sum(map(is_number, row)) >= len(row) / 2:
                    good.append(row + [""] * (width - len(row)))
        if good:
            yield from self._batch(good)

    def _odd(self, line: int) -> None:
        self.number_odd += 1
        if len(self.odd) < 100:
            self.odd.append(line)

    def _is_header(self, row: list[str]) -> bool:
        """A row of names: the first one, the same once more, or of other columns."""
        names = [cell.strip() for cell in row]
        if tuple(names) == self.form.header or tuple(names) == tuple(self.header):
            return True
        if names[0] in self.usual or any(is_number(name) for name in names) or len(set(names)) < len(names):
            return False
        known = sum(
            (role := role_of(name)).kind in ("step", "epoch") or (role.kind == "value" and role.known) for name in names
        )
        return known >= max(2, len(names) / 2)

    def _batch(self, rows: list[list[str]]) -> Iterator[Batch]:
        columns = dict(zip(self.header, zip(*rows, strict=True), strict=True))
        exported = exports(self.header)
        if not exported:
            yield of_cells(columns, len(rows), self.form.decimal_comma)
            return
        for run, renames in exported.items():
            batch = of_cells({new: columns[old] for old, new in renames.items()}, len(rows), self.form.decimal_comma)
            if len(exported) > 1:
                batch.texts["run"] = [run] * len(rows)
            yield batch


def named(header: Sequence[str], path: Path) -> tuple[str, ...]:
    """Names that differ from each other; `Value` of a single curve is called as the file."""
    names = list(header)
    for i, name in enumerate(names):
        if (name.casefold() == "value" and len(names) <= 3) or (names == ["column 1"] and is_named_curve(path)):
            stem = path.name.split(".")[0]
            tag = TAG.search(stem)
            names[i] = tag[1] if tag else stem
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[i] = f"{name} ({seen[name]})"
    return tuple(names)


def exports(header: Sequence[str]) -> dict[str, dict[str, str]]:
    """By run, what its columns are called: in exports of W&B each stands for `run - metric`, with its lowest and highest beside it."""
    split = {name: found for name in header if (found := EXPORTED.match(name))}
    twins = any(name.endswith("__MIN") for name in header)
    if (
        not split
        or len(header) < 2
        or not (twins or (len(split) >= len(header) - 1 and role_of(header[0]).kind in ("step", "epoch")))
    ):
        return {}
    shared = {name: name for name in header if name not in split}
    runs: dict[str, dict[str, str]] = {}
    for name, found in split.items():
        if not found["end"]:
            if found["metric"].strip() in ("_step", "step"):
                continue
            runs.setdefault(found["run"].strip(), dict(shared))[name] = found["metric"].strip()
    return runs
