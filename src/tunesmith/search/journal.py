"""The journal of a study: one line of JSON an event, on the disk before it counts.

    {"event": "warm", "trials": [{"change": {…}, "records": […], "state": "done"}]} what earlier studies found, first of all
    {"event": "begun", "trial": 3, "config": {…}, "start": 0, "upto": 3, …}       a proposal was handed out
    {"event": "checkpoint", "trial": 3, "records": […]}                            units trained of it, not yet told to the search
    {"event": "told", "trial": 3, "records": […], "state": "paused", …}            the units after those, and the end of the proposal
    {"event": "removed", "trial": 3}                                               its checkpoints are gone

Lines are only ever added. A last line that was cut short, or never came whole to the disk, is dropped; it had not counted. Numbers
that are not finite stand as NaN and Infinity, as Python's json has them.
"""

import gc
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, RunError
from tunesmith.runs.files import plain, storing
from tunesmith.runs.lock import FolderLock

FILE = "trials.jsonl"
EVENTS = ("warm", "begun", "checkpoint", "told", "removed")
Event = dict[str, Any]


class Journal:
    """The only writer of a study folder. Raises `RunBusy` where another process writes, `RunError` for damage."""

    def __init__(self, folder: Path) -> None:
        self._lock = FolderLock(folder)
        self.path = folder / FILE
        try:
            self.events, self._length = read(self.path)
            with storing(self.path):
                self._number: int | None = os.open(
                    self.path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666
                )
                os.ftruncate(self._number, self._length)
        except BaseException:
            self._lock.release()
            raise

    def write(self, event: Mapping[str, Any]) -> None:
        """Adds an event; when this returns it outlives a power cut. Raises `StorageError`, and then nothing of it is left."""
        if self._number is None:
            raise RunError(f"the study {self.path.parent} is closed; open it again with resume=True")
        line = (json.dumps(plain(event, finite=False), ensure_ascii=False) + "\n").encode("utf-8")
        with storing(self.path, "every event before it is kept"):
            try:
                _write_all(self._number, line, self._length)
            except BaseException:
                os.ftruncate(self._number, self._length)  # a line in half would damage the next one
                raise
        self._length += len(line)

    def close(self) -> None:
        """Lets go of the folder. May be called twice."""
        if self._number is not None:
            os.close(self._number)
            self._number = None
            self._lock.release()


def _write_all(number: int, line: bytes, place: int) -> None:
    os.lseek(number, place, os.SEEK_SET)
    left = line
    while left:
        left = left[os.write(number, left) :]
    os.fsync(number)


def read(path: Path) -> tuple[list[Event], int]:
    """The events of a journal, and how many bytes of it are whole; none where there is no file. Raises `RunError` for damage."""
    if not path.is_file():
        return [], 0
    with storing(path):
        content = path.read_bytes()
    lines = content.split(b"\n")
    rest = lines.pop()  # what comes after the last line end: nothing, or a line cut short
    with without_collection():
        events = [_parsed(line) for line in lines]
    whole = [event for event in events if event is not None]
    if len(whole) == len(events):
        return whole, len(content) - len(rest)
    number = events.index(None)
    if number == len(lines) - 1 and not rest:  # its blocks never reached the disk
        return whole, len(content) - len(lines[-1]) - 1
    raise RunError(f"{path} is damaged in line {number + 1}: {_shown(lines[number])}; restore it from a copy")


def replay(path: Path, events: list[Event], apply: Callable[[Event], None]) -> None:
    """Hands over each event. Raises `RunError` with the line of one that cannot follow those before."""
    number = 0
    try:
        with without_collection():
            for number, event in enumerate(events, start=1):  # noqa: B007
                apply(event)
    except (DataError, LookupError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged in line {number}: {error}; restore it from a copy") from error


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage while many small things are made that stay: it took a third of the time of reading 10,000 trials."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.get("event") in EVENTS else None


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return f"{text[:60]!r}{'…' if len(text) > 60 else ''} is no event"
