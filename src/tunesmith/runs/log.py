"""The log of a run: one SQLite file of attempts, signals and events.

Every row has an id; ids increase over all tables, in the order in which the rows were written. A checkpoint keeps the
id it was taken at (its mark), and an attempt that goes on from that checkpoint supersedes the rows of earlier attempts
above the mark: they stay in the file, out of every reader's sight.

    attempt   one start of a process, or one return to an earlier checkpoint; `kept_to` is the last id still in sight
    series    a name and a place, by number
    chunk     points of one series: steps as first and stride where they are even, else as numbers; values as they came
    bucket    coarser levels of one series (`levels.py`), from the points `start` to `start + count` of the attempt
    event     an evaluation, a finding or a decision, as JSON

Small chunks are joined in time; `parts` then keeps the id and length of each, so that a mark still cuts between them.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tunesmith.records import RunError
from tunesmith.runs.files import plain, storing
from tunesmith.runs.levels import LEVELS, WIDTH, Buckets, Floats, Whole, coarser, joined, of_points, packed

Key: TypeAlias = tuple[str, str]  # name and where
Event: TypeAlias = tuple[str, int | None, Mapping[str, Any]]  # kind, step, body

EVERYTHING = 1 << 62  # `kept_to` of an attempt of which nothing is superseded
LARGEST = 1 << 16  # points a chunk: half a megabyte, so that a short range is not far to read
SMALL = 1 << 8  # chunks of fewer points are joined,
MANY = 64  # once there are so many

SCHEMA = """
CREATE TABLE attempt (number INTEGER PRIMARY KEY, first_step INTEGER NOT NULL, mark INTEGER NOT NULL,
    kept_to INTEGER NOT NULL, started REAL NOT NULL, body TEXT NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL, place TEXT NOT NULL, UNIQUE (name, place));
CREATE TABLE chunk (id INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, attempt INTEGER NOT NULL,
    series INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, stride INTEGER, steps BLOB, parts BLOB, points BLOB NOT NULL);
CREATE INDEX chunk_of_series ON chunk (series, last, first, attempt, start, count);
CREATE TABLE bucket (id INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, series INTEGER NOT NULL, level INTEGER NOT NULL,
    start INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX bucket_of_series ON bucket (series, level);
CREATE TABLE event (id INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, kind TEXT NOT NULL, step INTEGER,
    time REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX event_of_kind ON event (kind);
CREATE TABLE mark (id INTEGER PRIMARY KEY, time REAL NOT NULL);
"""


@dataclass(slots=True)
class Track:
    """Where a series stands in the attempt: points so far, last step, points and buckets not yet in a full bucket."""

    series: int
    count: int = 0
    last: int | None = None
    loose: tuple[Buckets, ...] = field(default_factory=lambda: tuple(joined([]) for _ in range(LEVELS)))
    small: tuple[tuple[int, int], ...] = ()  # (id, count) of the small chunks at the end


class LogWriter:
    """The writing side of a log; one at a time (`lock.py`). Rows belong to the attempt begun last."""

    def __init__(self, path: Path | None) -> None:
        """`path` None keeps the log in memory."""
        self.where = str(path) if path else "the log in memory"
        self.guard = threading.RLock()
        with storing(self.where):
            self.database = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=False, timeout=30
            )
        try:
            self._open()
        except BaseException:
            self.database.close()
            raise

    def _open(self) -> None:
        with storing(self.where), readable(self.where):
            if not self.database.execute("SELECT 1 FROM sqlite_master WHERE name = 'mark'").fetchone():
                self.database.execute("PRAGMA page_size = 8192")
                self.database.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            self.database.execute("PRAGMA journal_mode = WAL")
            self.database.execute("PRAGMA synchronous = NORMAL")  # commits survive the process; marks, the machine too
            tables = ("chunk", "bucket", "event", "mark")
            largest = " UNION ALL ".join(f"SELECT max(id) FROM {table}" for table in tables)
            marks = "SELECT max(mark) FROM attempt"
            self.last_id = max(found or 0 for (found,) in self.database.execute(f"{largest} UNION ALL {marks}"))
        self.attempt = 0
        self.tracks: dict[Key, Track] = {}

    def begin_attempt(self, first_step: int, mark: int, body: Mapping[str, Any]) -> int:
        """Rows of earlier attempts above `mark` are out of sight from now on."""
        with self.changing():
            (latest,) = self.database.execute("SELECT max(number) FROM attempt").fetchone()
            number = (latest or 0) + 1
            self.database.execute("UPDATE attempt SET kept_to = min(kept_to, ?)", (mark,))
            row = (number, first_step, mark, EVERYTHING, time.time(), json.dumps(plain(body, finite=False)))
            self.database.execute("INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?)", row)
        self.attempt, self.tracks = number, {}
        self.last_id = max(self.last_id, mark)
        return number

    def write(self, points: Mapping[Key, tuple[Whole, Floats]], events: Sequence[Event]) -> None:
        """Points by (name, where) and events, all of them or, where that fails, none."""
        if not self.attempt:
            raise RunError("no attempt has begun: call begin_attempt(first_step, mark) before anything is logged")
        tracks: dict[Key, Track] = {}
        before = self.last_id
        try:
            with self.changing():
                for key, (steps, values) in points.items():
                    tracks[key] = self._add(key, steps, values)
                for kind, step, body in events:
                    text = json.dumps(plain(body, finite=False), ensure_ascii=False)
                    row = (self._next(), self.attempt, kind, step, time.time(), text)
                    self.database.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", row)
        except BaseException:
            self.last_id = before
            raise
        self.tracks.update(tracks)

    def mark(self) -> int:
        """The id of a row that is on the disk, with all before it, even if the machine stops now."""
        self.database.execute("PRAGMA synchronous = FULL")
        try:
            with self.changing():
                number = self.last_id + 1
                self.database.execute("INSERT INTO mark VALUES (?, ?)", (number, time.time()))
        finally:
            self.database.execute("PRAGMA synchronous = NORMAL")
        self.last_id = number
        return number

    def close(self) -> None:
        with self.guard, storing(self.where):
            self.database.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction: all of it, or nothing."""
        with self.guard, storing(self.where, "what was flushed before is kept"), readable(self.where):
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                raise

    def _next(self) -> int:
        self.last_id += 1
        return self.last_id

    def _add(self, key: Key, steps: Whole, values: Floats) -> Track:
        old = self.tracks.get(key) or Track(self._series(*key))
        if (old.last is not None and steps[0] < old.last) or bool((steps[1:] < steps[:-1]).any()):
            raise RunError(
                f"signal {key[0]!r} goes back to step {steps.min()} after step {max(old.last or 0, steps.max())}: "
                "steps only rise within an attempt; call begin_attempt(first_step, mark) to go on from an earlier step"
            )
        track = Track(old.series, old.count, int(steps[-1]), old.loose, old.small)
        for start in range(0, len(steps), LARGEST):
            part = slice(start, start + LARGEST)
            number = self._chunk(track, track.count, steps[part], values[part])
            track.count += len(steps[part])
            track.small = self._joined((*track.small, (number, len(steps[part]))))
        self._coarsen(track, old.count, of_points(steps, values))
        return track

    def _series(self, name: str, place: str) -> int:
        self.database.execute("INSERT OR IGNORE INTO series (name, place) VALUES (?, ?)", (name, place))
        query = "SELECT id FROM series WHERE name = ? AND place = ?"
        return int(self.database.execute(query, (name, place)).fetchone()[0])

    def _chunk(self, track: Track, start: int, steps: Whole, values: Floats) -> int:
        number = self._next()
        self._insert_chunk(number, number, track.series, start, steps, values, None)
        return number

    def _insert_chunk(
        self, number: int, first_id: int, series: int, start: int, steps: Whole, values: Floats, parts: bytes | None
    ) -> None:
        gaps = np.diff(steps)
        even = not len(gaps) or bool((gaps == gaps[0]).all())
        stride = (int(gaps[0]) if len(gaps) else 0) if even else None
        written = None if even else steps.astype("<i8").tobytes()
        row = (
            number,
            first_id,
            self.attempt,
            series,
            start,
            len(steps),
            int(steps[0]),
            int(steps[-1]),
            stride,
            written,
            parts,
        )
        self.database.execute(
            "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, values.astype("<f8").tobytes())
        )

    def _joined(self, small: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """The small chunks at the end of a series, joined into one when they are many."""
        if small[-1][1] >= SMALL:
            return ()
        if len(small) < MANY:
            return small
        numbers = [number for number, _ in small]
        query = f"SELECT {COLUMNS}, c.series FROM chunk c WHERE c.id IN ({', '.join('?' * len(numbers))}) ORDER BY c.id"
        rows = self.database.execute(query, numbers).fetchall()
        chunks = [Chunk(*row[:-1]) for row in rows]
        self.database.execute(f"DELETE FROM chunk WHERE id IN ({', '.join('?' * len(numbers))})", numbers)
        steps, values, parts = (
            np.concatenate(arrays) for arrays in zip(*(chunk.arrays() for chunk in chunks), strict=True)
        )
        first = chunks[0]
        self._insert_chunk(
            numbers[-1], first.first_id, rows[0][-1], first.start, steps, values, parts.astype("<i8").tobytes()
        )
        return ((numbers[-1], len(steps)),) if len(steps) < SMALL else ()

    def _coarsen(self, track: Track, start: int, fresh: Buckets) -> None:
        loose = list(track.loose)
        for level in range(LEVELS):
            full, loose[level] = coarser(joined([loose[level], fresh]))
            size = WIDTH ** (level + 1)
            if len(full.first):
                row = (
                    self._next(),
                    self.attempt,
                    track.series,
                    level + 1,
                    start // size * size,
                    len(full.first) * size,
                    packed(full),
                )
                self.database.execute("INSERT INTO bucket VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            fresh = full
        track.loose = tuple(loose)


COLUMNS = "c.id, c.first_id, c.attempt, c.start, c.count, c.first, c.last, c.stride, c.steps, c.parts, c.points"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A row of the table, as it is read."""

    id: int
    first_id: int
    attempt: int
    start: int
    count: int
    first: int
    last: int
    stride: int | None
    steps: bytes | None
    parts: bytes | None
    points: bytes

    def arrays(self) -> tuple[Whole, Floats, Whole]:
        """Steps, values, and the id and length of each part, (P, 2)."""
        if self.steps is None:
            steps = self.first + (self.stride or 0) * np.arange(self.count, dtype=np.int64)
        else:
            steps = np.frombuffer(self.steps, dtype="<i8").astype(np.int64)
        parts = (
            np.array([[self.id, self.count]])
            if self.parts is None
            else np.frombuffer(self.parts, dtype="<i8").reshape(-1, 2)
        )
        return steps, np.frombuffer(self.points, dtype="<f8").astype(np.float64), parts

    def kept(self, kept_to: int) -> tuple[Whole, Floats]:
        """Steps and values of the parts up to an id."""
        steps, values, parts = self.arrays()
        if self.id <= kept_to:
            return steps, values
        count = int(parts[parts[:, 0] <= kept_to, 1].sum())
        return steps[:count], values[:count]


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turns what SQLite says of a damaged file into one sentence."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise
        raise RunError(
            f"{where} is damaged or no log of a run ({error}); restore it from a copy, or start a new run"
        ) from error
