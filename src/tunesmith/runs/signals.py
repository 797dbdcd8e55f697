"""Reading the log: signals as exact points or as curves to draw, and the events beside them."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import IO, Any

import numpy as np

from tunesmith.records import UnknownName, did_you_mean
from tunesmith.runs.files import write_whole
from tunesmith.runs.levels import LEVELS, WIDTH, Buckets, Curve, Floats, Whole, joined, of_points, thinned, unpacked
from tunesmith.runs.log import COLUMNS, EVERYTHING, Chunk

Opened = Callable[[], AbstractContextManager[Connection]]
KEPT = "JOIN attempt a ON a.number = c.attempt WHERE c.series = ?"


class Signals:
    """The signals of a run. Each call sees what was flushed when it began, also while another process writes.

    With `superseded`, readers also give what a later attempt has replaced.
    """

    def __init__(self, opened: Opened, where: str = "the run") -> None:
        self._opened = opened
        self._where = where

    def names(self) -> list[tuple[str, str]]:
        """Every (name, where) with points in sight, in order."""
        query = (
            "SELECT DISTINCT s.name, s.place FROM series s WHERE EXISTS (SELECT 1 FROM chunk c JOIN attempt a "
            "ON a.number = c.attempt WHERE c.series = s.id AND c.first_id <= a.kept_to) ORDER BY s.name, s.place"
        )
        with self._opened() as database:
            return [(name, place) for name, place in database.execute(query)]

    def read(
        self, name: str, where: str = "", first: int | None = None, last: int | None = None, *, superseded: bool = False
    ) -> tuple[Whole, Floats]:
        """Steps and values as they were written, from step `first` to step `last`, both included."""
        with self._opened() as database:
            return _points(database, self._series(database, name, where), first, last, superseded)

    def curve(
        self, name: str, where: str = "", points: int = 1000, first: int | None = None, last: int | None = None
    ) -> Curve:
        """At most `points` buckets of equally many points: first step, lowest, mean and highest finite value."""
        if points < 1:
            raise ValueError(f"a curve has at least 1 point, not {points}")
        with self._opened() as database:
            series = self._series(database, name, where)
            level = _level(database, series, points, first, last)
            if not level:
                return thinned(of_points(*_points(database, series, first, last, False)), points)
            return thinned(_coarse(database, series, level, first, last), points)

    def export_jsonl(self, path: str | Path) -> Path:
        """Every point in sight, a line of JSON each; "NaN", "Infinity", "-Infinity" where JSON has no number."""
        target = Path(path)

        def write(file: IO[bytes]) -> None:
            for name, where in self.names():
                for line in _lines(name, where, *self.read(name, where)):
                    file.write(line.encode("utf-8"))

        write_whole(target, write)
        return target

    def _series(self, database: Connection, name: str, where: str) -> int:
        found = database.execute("SELECT id FROM series WHERE name = ? AND place = ?", (name, where)).fetchone()
        if found:
            return int(found[0])
        known = database.execute("SELECT name, place FROM series").fetchall()
        places = sorted(place for other, place in known if other == name)
        if places:
            raise UnknownName(f"signal {name!r} has no place called {where!r}{did_you_mean(where, places)}")
        raise UnknownName(
            f"{self._where} has no signal called {name!r}{did_you_mean(name, {other for other, _ in known})}"
        )


def _points(
    database: Connection, series: int, first: int | None, last: int | None, superseded: bool
) -> tuple[Whole, Floats]:
    seen = "" if superseded else "AND c.first_id <= a.kept_to"
    query = f"SELECT {COLUMNS}, a.kept_to FROM chunk c {KEPT} {seen} AND c.last >= ? AND c.first <= ? ORDER BY c.id"
    low, high = -EVERYTHING if first is None else first, EVERYTHING if last is None else last
    pieces = [
        _within(*Chunk(*row[:-1]).kept(EVERYTHING if superseded else row[-1]), low, high)
        for row in database.execute(query, (series, low, high))
    ]
    if not pieces:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    steps, values = zip(*pieces, strict=True)
    return np.concatenate(steps), np.concatenate(values)


def _within(steps: Whole, values: Floats, low: int, high: int) -> tuple[Whole, Floats]:
    start, stop = np.searchsorted(steps, low, "left"), np.searchsorted(steps, high, "right")
    return steps[start:stop], values[start:stop]


def _level(database: Connection, series: int, points: int, first: int | None, last: int | None) -> int:
    """The coarsest level that still has as many buckets in the range as are asked for; 0 are the points."""
    query = f"SELECT sum(c.count) FROM chunk c {KEPT} AND c.last >= ? AND c.first <= ?"
    low, high = -EVERYTHING if first is None else first, EVERYTHING if last is None else last
    count = database.execute(query, (series, low, high)).fetchone()[0] or 0
    return max((level for level in range(LEVELS + 1) if count >= points * WIDTH**level), default=0)


@dataclass(frozen=True, slots=True)
class _Cover:
    """The points of a series in one attempt, by position, from the coarse level to the fine."""

    database: Connection
    series: int
    attempt: int
    kept_to: int

    def positions(self, low: int, high: int) -> tuple[int, int]:
        """From which position to before which the steps lie between `low` and `high`."""
        ends = [
            chunk
            for order in ("ASC", "DESC")
            for chunk in self._chunks("c.last >= ? AND c.first <= ?", low, high, f"{order} LIMIT 1")
        ]
        if not ends:
            return 0, 0
        start, stop = (chunk.kept(self.kept_to)[0] for chunk in ends)
        return ends[0].start + int(np.searchsorted(start, low, "left")), ends[1].start + int(
            np.searchsorted(stop, high, "right")
        )

    def buckets(self, level: int, start: int, stop: int) -> list[Buckets]:
        """Buckets of `level` as far as they lie within the positions, finer ones at both ends."""
        if start >= stop:
            return []
        if not level:
            return [self._points(start, stop)]
        size = WIDTH**level
        query = (
            "SELECT start, body FROM bucket WHERE series = ? AND attempt = ? AND level = ? AND id <= ? "
            "AND start + count > ? AND start < ? ORDER BY id"
        )
        first = -(-start // size) * size
        rows = self.database.execute(query, (self.series, self.attempt, level, self.kept_to, first, stop)).fetchall()
        found = [unpacked(body).part(max(first - begin, 0) // size, (stop - begin) // size) for begin, body in rows]
        end = first + size * sum(len(piece.first) for piece in found)
        if end == first:
            return self.buckets(level - 1, start, stop)
        return [*self.buckets(level - 1, start, first), *found, *self.buckets(level - 1, end, stop)]

    def _points(self, start: int, stop: int) -> Buckets:
        pieces = []
        for chunk in self._chunks("c.start + c.count > ? AND c.start < ?", start, stop, "ASC"):
            part = slice(max(start - chunk.start, 0), stop - chunk.start)
            steps, values = chunk.kept(self.kept_to)
            pieces.append(of_points(steps[part], values[part]))
        return joined(pieces)

    def _chunks(self, condition: str, low: int, high: int, order: str) -> Iterator[Chunk]:
        mine = "c.series = ? AND c.attempt = ? AND c.first_id <= ?"
        query = f"SELECT {COLUMNS} FROM chunk c WHERE {mine} AND {condition} ORDER BY c.id {order}"
        for row in self.database.execute(query, (self.series, self.attempt, self.kept_to, low, high)):
            yield Chunk(*row)


def _coarse(database: Connection, series: int, level: int, first: int | None, last: int | None) -> Buckets:
    numbers = f"SELECT DISTINCT a.number, a.kept_to FROM chunk c {KEPT} AND c.first_id <= a.kept_to ORDER BY a.number"
    low, high = -EVERYTHING if first is None else first, EVERYTHING if last is None else last
    pieces: list[Buckets] = []
    for attempt, kept_to in database.execute(numbers, (series,)).fetchall():
        cover = _Cover(database, series, attempt, kept_to)
        pieces += cover.buckets(level, *cover.positions(low, high))
    return joined(pieces)


def _lines(name: str, where: str, steps: Whole, values: Floats) -> Iterator[str]:
    head = json.dumps({"name": name, "where": where}, ensure_ascii=False)[:-1]
    for step, value in zip(steps.tolist(), values.tolist(), strict=True):
        yield f'{head}, "step": {step}, "value": {_number(value)}}}\n'


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def events(database: Connection, kind: str, superseded: bool = False) -> list[dict[str, Any]]:
    """The bodies of one kind of event, in the order in which they came."""
    seen = "" if superseded else "AND e.id <= a.kept_to"
    query = f"SELECT e.body FROM event e JOIN attempt a ON a.number = e.attempt WHERE e.kind = ? {seen} ORDER BY e.id"
    return [json.loads(body) for (body,) in database.execute(query, (kind,))]


def attempts(database: Connection) -> list[dict[str, Any]]:
    """Every attempt: number, first step, mark, time it started, and what it said of itself."""
    rows = database.execute("SELECT number, first_step, mark, started, body FROM attempt ORDER BY number")
    names = ("number", "first_step", "mark", "started")
    return [dict(zip(names, row[:-1], strict=True)) | json.loads(row[-1]) for row in rows]
