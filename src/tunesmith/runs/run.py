"""The run folder, the only memory of what happened.

run.json                   layout version, id, created, versions, command, data fingerprint, status, parent
recipe.toml  sources.json  the recipe, and where each value came from
data/                      pipeline.json, split.npz, columns.json
model.json                 name, inputs, outputs, kind, table of layers
log.sqlite                 attempts, signals, evaluations, findings, decisions (`log.py`)
checkpoints/               step-0000001234/…, and the pointers best.json and last.json
scores.json  predictions/  the final judgement, part by part
samples/  report.html  traceback.txt
children.jsonl             a line for each run that names this one its parent
lock                       who writes now (`lock.py`)
"""

import json
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tunesmith.records import Recipe, RunError, did_you_mean
from tunesmith.runs.files import storing, write_json
from tunesmith.runs.lock import held
from tunesmith.runs.log import LogWriter, readable
from tunesmith.runs.reading import Reading, Status, place_in, read_json
from tunesmith.runs.recipe_text import read_recipe, write_recipe
from tunesmith.runs.writer import RunWriter

LAYOUT = 1
CREATING = ".creating-"
UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)


class Run(Reading):
    """A run folder, open for reading; another process may write to it meanwhile."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise RunError(_absent(self.folder))
        if not (self.folder / "run.json").is_file():
            raise RunError(_no_run(self.folder))
        layout = self.info.get("layout")
        if not isinstance(layout, int):
            raise RunError(f"{self.folder / 'run.json'} is damaged: it names no layout; restore it, or start a new run")
        if layout > LAYOUT:
            raise RunError(
                f"run {self.folder} has layout {layout}, this version reads up to {LAYOUT}; `pip install -U tunesmith`"
            )

    @classmethod
    def create(
        cls, folder: str | Path, *, recipe: Recipe, info: Mapping[str, Any] | None = None, parent: "Run | None" = None
    ) -> "Run":
        """A new run in a folder that is empty or not there. A creation cut short leaves no run, and can be repeated."""
        place = Path(folder)
        _check_free(place)
        with storing(place):
            new = place / f"{CREATING}{uuid.uuid4().hex[:8]}"
            new.mkdir(parents=True)
            created = datetime.now(UTC)
            told = {
                "layout": LAYOUT,
                "id": f"{created:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}",
                "created": created.isoformat(timespec="seconds"),
            }
            if parent is not None:
                told["parent"] = os.path.relpath(parent.folder, place)
            write_recipe(new, recipe)
            LogWriter(new / "log.sqlite").close()
            write_json(new / "run.json", {**told, "status": "running", **(info or {})})
            for file in sorted(
                new.iterdir(), key=lambda file: file.name == "run.json"
            ):  # run.json last: with it the run is there
                os.replace(file, place / file.name)
            new.rmdir()
            run = cls(place)
            if parent is not None:
                _add_child(parent.folder, run)
        return run

    def writer(self) -> RunWriter:
        """The only writer of the folder, for a `with` block. Raises `RunBusy` where there is one already."""
        return RunWriter(self.folder)

    def path(self, name: str) -> Path:
        """Where a file of the run lies, whether it is there or not."""
        return place_in(self.folder, name, "")

    @property
    def info(self) -> dict[str, Any]:
        return read_json(self.folder / "run.json")

    @property
    def id(self) -> str:
        return str(self.info.get("id", ""))

    @property
    def status(self) -> Status:
        """`running` only while a process writes: one that was killed left an interrupted run."""
        status: Status = self.info.get("status", "interrupted")
        return "interrupted" if status == "running" and not held(self.folder) else status

    @property
    def recipe(self) -> Recipe:
        return read_recipe(self.folder)

    @property
    def parent(self) -> Path | None:
        """The folder of the run this one came from."""
        parent = self.info.get("parent")
        return Path(os.path.normpath(self.folder / parent)) if parent else None

    @property
    def children(self) -> list[Path]:
        """The folders of the runs that came from this one, as far as they are still there."""
        listed = self.folder / "children.jsonl"
        if not listed.is_file():
            return []
        places = [
            Path(os.path.normpath(self.folder / json.loads(line)["folder"]))
            for line in listed.read_text(encoding="utf-8").splitlines()
        ]
        return [place for place in places if (place / "run.json").is_file()]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        path = self.folder / "log.sqlite"
        if not path.is_file():
            raise RunError(f"run {self.folder} has lost its log.sqlite; restore it from a copy, or start a new run")
        with readable(str(path)), _reader(path) as database:
            yield database

    def _json(self, name: str) -> Any:
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{path} is damaged ({error}); restore it from a copy") from error

    def _arrays(self, name: str) -> dict[str, np.ndarray] | None:
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (ValueError, OSError, EOFError, BadZipFile) as error:
            raise RunError(f"{path} is damaged ({error}); restore it from a copy") from error

    def _prediction_parts(self) -> list[str]:
        return [file.stem for file in (self.folder / "predictions").glob("*.npz")]

    def _said(self) -> str:
        return f"run {self.folder}"


@contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    """A reader of one moment of the log, which a writer does not disturb."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as database:
        database.execute("PRAGMA busy_timeout = 30000")
        if _begun(database):
            yield database
            return
    with tempfile.TemporaryDirectory() as copy:  # SQLite cannot read a log in WAL mode where it may not write beside it
        try:
            for file in (path, path.with_name(path.name + "-wal")):
                if file.exists():
                    shutil.copy(file, copy)
        except OSError as error:
            raise RunError(f"{path} cannot be read ({error.strerror}); check the rights on the folder") from error
        with closing(sqlite3.connect(Path(copy) / path.name, isolation_level=None)) as database:
            yield database


def _begun(database: sqlite3.Connection) -> bool:
    try:
        database.execute("BEGIN")
        database.execute("SELECT 1 FROM attempt LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in UNWRITABLE:
            return False
        raise
    return True


def _check_free(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is a file, not a folder; choose another name for the run")
    if (folder / "run.json").exists():
        raise RunError(f"{folder} already holds a run; resume it, or choose another folder")
    if any(file.name.startswith(CREATING) for file in folder.iterdir()):  # ours: a creation that was cut short
        for file in folder.iterdir():
            if file.name.startswith(CREATING):
                shutil.rmtree(file)
        return
    if any(folder.iterdir()):
        raise RunError(f"{folder} is not empty and holds no run; choose an empty or a new folder")


def _add_child(parent: Path, run: Run) -> None:
    """One short line appended in one write: searches add children from several processes."""
    line = json.dumps({"id": run.id, "folder": os.path.relpath(run.folder, parent)}, ensure_ascii=False) + "\n"
    number = os.open(parent / "children.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(number, line.encode("utf-8"))
    finally:
        os.close(number)


def _absent(folder: Path) -> str:
    if folder.exists():
        return f"{folder} is a file, not a run folder; give the folder that holds run.json"
    beside = (
        [other.name for other in folder.parent.iterdir() if (other / "run.json").is_file()]
        if folder.parent.is_dir()
        else []
    )
    return f"no run folder {folder}{did_you_mean(folder.name, beside)}"


def _no_run(folder: Path) -> str:
    inside = sorted(other.name for other in folder.iterdir() if (other / "run.json").is_file())
    shown = f"; runs inside: {', '.join(inside[:8])}" if inside else "; give the folder that `tunesmith fit` named"
    return f"{folder} is no run folder: it holds no run.json{shown}"
