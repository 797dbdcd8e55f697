"""Following a log that grows: what came after a row, and the last of what was there. Reads no curve whole.

Ids increase over all tables in the order of writing (`log.py`), so that "after row 812" is exact, whatever was joined since.
"""

import json
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, NamedTuple

import numpy as np

from tunesmith.runs.levels import Floats, Whole
from tunesmith.runs.log import COLUMNS, EVERYTHING, Chunk, Key
from tunesmith.runs.reading import Reading

MOST = 1 << 18  # points that are handed over at once; assumption: beyond that a curve is read anew, coarsely


class Place(NamedTuple):
    """How far a log is written: the last row, and the latest attempt. Another attempt may have put rows out of sight."""

    row: int
    attempt: int


@dataclass(frozen=True, slots=True)
class News:
    """What was written after a row. `whole` is False where that is too much, or another attempt began: then all is to be read anew."""

    place: Place
    whole: bool = True
    points: dict[Key, tuple[Whole, Floats]] = field(default_factory=dict)
    events: tuple[tuple[int, str, dict[str, Any]], ...] = ()  # id, kind, body


def place_of(run: Reading) -> Place:
    """Where the log ends now."""
    with run._opened() as database:
        return _place(database)


def news(run: Reading, after: Place, most: int = MOST) -> News:
    """The points and events written after a place, as far as they are in sight."""
    with run._opened() as database:
        now = _place(database)
        if now.attempt != after.attempt:
            return News(now, whole=False)
        if now.row <= after.row:
            return News(now)
        count = "SELECT count(*), sum(c.count) FROM chunk c WHERE c.id > ?"
        rows, points = database.execute(count, (after.row,)).fetchone()
        if max(rows, points or 0) > most:
            return News(now, whole=False)
        return News(now, True, _points(database, after.row), tuple(_events(database, after.row)))


def latest(run: Reading, name: str, where: str = "") -> tuple[int, float] | None:
    """The last point of a signal; None where there is none."""
    query = (
        f"SELECT {COLUMNS}, a.kept_to FROM chunk c JOIN attempt a ON a.number = c.attempt "
        "WHERE c.series = (SELECT id FROM series WHERE name = ? AND place = ?) AND c.first_id <= a.kept_to "
        "ORDER BY c.last DESC, c.id DESC LIMIT 2"
    )
    with run._opened() as database:
        for row in database.execute(query, (name, where)):
            steps, values = Chunk(*row[:-1]).kept(row[-1])
            if len(steps):
                return int(steps[-1]), float(values[-1])
    return None


def last_events(run: Reading, kind: str, most: int, condition: str = "1") -> list[tuple[int, dict[str, Any]]]:
    """The last events of a kind with their ids, in the order they came; `condition` is of ours, in SQL over `e.body`."""
    query = (
        "SELECT e.id, e.body FROM event e JOIN attempt a ON a.number = e.attempt "
        f"WHERE e.kind = ? AND e.id <= a.kept_to AND {condition} ORDER BY e.id DESC LIMIT ?"
    )
    with run._opened() as database:
        found = database.execute(query, (kind, most)).fetchall()
    return [(number, json.loads(body)) for number, body in reversed(found)]


def _place(database: Connection) -> Place:
    tables = ("chunk", "bucket", "event", "mark")
    largest = " UNION ALL ".join(f"SELECT max(id) FROM {table}" for table in tables)
    row = max(found or 0 for (found,) in database.execute(largest))
    return Place(row, database.execute("SELECT max(number) FROM attempt").fetchone()[0] or 0)


def _points(database: Connection, after: int) -> dict[Key, tuple[Whole, Floats]]:
    query = (
        f"SELECT s.name, s.place, {COLUMNS}, a.kept_to FROM chunk c CROSS JOIN attempt a CROSS JOIN series s "
        "WHERE c.id > ? AND a.number = c.attempt AND s.id = c.series AND c.first_id <= a.kept_to ORDER BY c.id"
    )  # CROSS JOIN: by the rows that are new, not by the series there are
    found: dict[Key, list[tuple[Whole, Floats]]] = {}
    for name, where, *row, kept_to in database.execute(query, (after,)):
        steps, values = _since(Chunk(*row), after, min(kept_to, EVERYTHING))
        if len(steps):
            found.setdefault((name, where), []).append((steps, values))
    return {
        key: (np.concatenate([steps for steps, _ in pieces]), np.concatenate([values for _, values in pieces]))
        for key, pieces in found.items()
    }


def _since(chunk: Chunk, after: int, kept_to: int) -> tuple[Whole, Floats]:
    """The parts of a chunk with an id above `after`: small chunks are joined, and old ones then come under a new id."""
    steps, values = chunk.kept(kept_to)
    if chunk.first_id > after:
        return steps, values
    _, _, parts = chunk.arrays()
    start = int(parts[parts[:, 0] <= after, 1].sum())
    return steps[start:], values[start:]


def _events(database: Connection, after: int) -> list[tuple[int, str, dict[str, Any]]]:
    query = (
        "SELECT e.id, e.kind, e.body FROM event e JOIN attempt a ON a.number = e.attempt "
        "WHERE e.id > ? AND e.id <= a.kept_to ORDER BY e.id"
    )
    return [(number, kind, json.loads(body)) for number, kind, body in database.execute(query, (after,))]
