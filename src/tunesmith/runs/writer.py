"""The writing side of a run: into its folder, or, for short quiet trainings, into memory."""

import abc
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

from tunesmith.records import Finding, Recipe, RunError, StorageError
from tunesmith.runs import files
from tunesmith.runs.levels import Floats, Whole
from tunesmith.runs.lock import FolderLock
from tunesmith.runs.log import Event, Key, LogWriter
from tunesmith.runs.reading import Reading, Status, place_in, read_json

FLUSH_SECONDS = 1.0


class Writer(abc.ABC):
    """What the training loop writes to. Points are held back until a flush; everything else is on the disk at once."""

    def __init__(self, log: LogWriter, flush_seconds: float) -> None:
        self._log = log
        self._flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self._held: dict[Key, tuple[list[Whole], list[Floats]]] = {}
        self._guard = threading.RLock()

    def begin_attempt(self, first_step: int = 0, mark: int = 0, **more: Any) -> int:
        """Begins the attempt to which all later rows belong, and gives its number.

        `mark` is that of the checkpoint gone on from, 0 for none: rows of earlier attempts above it are superseded.
        """
        self.flush()
        body = {
            "command": list(sys.argv),
            "pid": os.getpid(),
            "python": sys.version.split()[0],
            "platform": sys.platform,
        }
        return self._log.begin_attempt(first_step, mark, body | more)

    def add(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        """Points of a signal, one or many; steps only rise within an attempt."""
        new_steps = np.array(steps, dtype=np.int64, ndmin=1).ravel()
        new_values = np.array(values, dtype=np.float64, ndmin=1).ravel()
        if len(new_steps) != len(new_values):
            raise RunError(
                f"signal {name!r} came with {len(new_steps)} steps and {len(new_values)} values; give one value a step"
            )
        if not len(new_steps):
            return
        with self._guard:
            held_steps, held_values = self._held.setdefault((name, where), ([], []))
            held_steps.append(new_steps)
            held_values.append(new_values)
        if time.monotonic() - self._flushed >= self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Hands every held point to the disk: from here on it outlives the process."""
        self._write([])

    def mark(self) -> int:
        """Flushes, and gives the id up to which a checkpoint taken now covers the log; it survives a power cut."""
        self.flush()
        return self._log.mark()

    def place(self) -> int:
        """Flushes, and gives the id up to which the log is written: the mark of a snapshot in memory, which no power cut outlives."""
        self.flush()
        return self._log.last_id

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self._write([("evaluation", row.get("step"), row)])

    def finding(self, finding: Finding, step: int | None = None) -> None:
        self._write([("finding", step, finding.as_dict() | {"step": step})])

    def decision(
        self, what: str, because: str, change: Mapping[str, Any] | None = None, step: int | None = None
    ) -> None:
        self._write(
            [("decision", step, {"what": what, "because": because, "change": dict(change or {}), "step": step})]
        )

    def _write(self, events: list[Event]) -> None:
        with self._guard:
            points = {
                key: (np.concatenate(steps), np.concatenate(values)) for key, (steps, values) in self._held.items()
            }
            if points or events:
                self._log.write(points, events)
            self._held.clear()
            self._flushed = time.monotonic()

    @abc.abstractmethod
    def write_json(self, name: str, value: Any) -> None:
        """A JSON file of the run; numbers that are not finite become null."""

    @abc.abstractmethod
    def write_arrays(self, name: str, **arrays: Any) -> None:
        """An .npz file of the run."""

    @abc.abstractmethod
    def write_text(self, name: str, text: str) -> None:
        """A text file of the run, in UTF-8."""

    @abc.abstractmethod
    def write_bytes(self, name: str, data: bytes) -> None:
        """A file of the run, such as a picture."""

    @abc.abstractmethod
    def set_status(self, status: Status | None = None, **more: Any) -> None:
        """Sets the status, and whatever else `run.info` shall hold."""

    def traceback(self, text: str) -> None:
        self.write_text("traceback.txt", text)


class RunWriter(Writer):
    """Writes to a run folder, alone: raises `RunBusy` where another process does. Use it in a `with` block.

    A block left by an exception leaves the status `interrupted` (Ctrl-C) or `failed`, unless one was set before.
    """

    def __init__(self, folder: str | Path, flush_seconds: float = FLUSH_SECONDS) -> None:
        self.folder = Path(folder)
        self._lock = FolderLock(self.folder)
        try:
            super().__init__(LogWriter(self.folder / "log.sqlite"), flush_seconds)
        except BaseException:
            self._lock.release()
            raise
        self._info = read_json(self.folder / "run.json")

    def __enter__(self) -> Self:
        self.set_status("running")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.flush()
            else:
                self._after(error)
        finally:
            self._log.close()
            self._lock.release()

    def _after(self, error: BaseException) -> None:
        """Saves what can be saved; a full disk then must not hide the error that came first."""
        try:
            if self._info["status"] == "running":
                wanted = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
                self.set_status("interrupted" if wanted else "failed")
            self.flush()
        except StorageError as second:
            error.add_note(str(second))

    def set_status(self, status: Status | None = None, **more: Any) -> None:
        changed = self._info | files.plain(more) | ({"status": status} if status else {})
        files.write_json(self.folder / "run.json", changed)
        self._info = changed

    def write_json(self, name: str, value: Any) -> None:
        files.write_json(place_in(self.folder, name, ".json"), value)

    def write_arrays(self, name: str, **arrays: Any) -> None:
        files.write_arrays(place_in(self.folder, name, ".npz"), arrays)

    def write_text(self, name: str, text: str) -> None:
        files.write_text(place_in(self.folder, name, ""), text)

    def write_bytes(self, name: str, data: bytes) -> None:
        files.write_bytes(place_in(self.folder, name, ""), data)


class MemoryWriter(Writer, Reading):
    """Writes to memory and reads back from there: the same faces as a run folder's, for quiet trainings without one."""

    def __init__(self, recipe: Recipe | None = None, info: Mapping[str, Any] | None = None) -> None:
        super().__init__(LogWriter(None), flush_seconds=float("inf"))
        self._recipe = recipe or Recipe()
        self._info: dict[str, Any] = {"status": "running"} | files.plain(dict(info or {}))
        self._files: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to let go of: what was written stays readable."""

    @property
    def info(self) -> dict[str, Any]:
        return dict(self._info)

    @property
    def recipe(self) -> Recipe:
        return self._recipe

    @property
    def status(self) -> Status:
        status: Status = self._info["status"]
        return status

    def set_status(self, status: Status | None = None, **more: Any) -> None:
        self._info |= files.plain(more) | ({"status": status} if status else {})

    def write_json(self, name: str, value: Any) -> None:
        self._files[place_in(Path(), name, ".json").as_posix()] = files.plain(value)

    def write_arrays(self, name: str, **arrays: Any) -> None:
        self._files[place_in(Path(), name, ".npz").as_posix()] = {key: np.array(array) for key, array in arrays.items()}

    def write_text(self, name: str, text: str) -> None:
        self._files[place_in(Path(), name, "").as_posix()] = text

    def write_bytes(self, name: str, data: bytes) -> None:
        self._files[place_in(Path(), name, "").as_posix()] = data

    @contextmanager
    def _opened(self) -> Iterator[Connection]:
        with self._log.guard:
            if self._held:
                self.flush()
            yield self._log.database

    def _json(self, name: str) -> Any:
        return self._files.get(name)

    def _arrays(self, name: str) -> dict[str, np.ndarray] | None:
        return self._files.get(name)

    def _prediction_parts(self) -> list[str]:
        return [Path(name).stem for name in self._files if name.startswith("predictions/")]

    def _said(self) -> str:
        return "a run in memory"
