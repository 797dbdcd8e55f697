"""Metric files of MLflow: one a metric, lines of `milliseconds value step`; and the folder of a run that holds them."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.readers.batches import Batch, number
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Gathering
from tunesmith.runs.readers.opening import Lines, head_of
from tunesmith.runs.readers.settings import facts_of
from tunesmith.runs.readers.shaping import Log, histories

LINE = re.compile(rb"^\d{12,14} \S+( -?\d+)?(?: .*)?\r?$")
MOST = 1000  # metrics of a run


def takes(path: Path, head: bytes) -> bool:
    lines = head.split(b"\n")[:3]
    return not path.is_dir() and bool(LINE.match(lines[0])) and all(LINE.match(line) for line in lines if line)


@reader("mlflow", order=35, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    return read_files([path], path.parent, roles, str(path))


def read_run(folder: Path, roles: Roles) -> list[History]:
    """The folder of a run: `metrics/`, and settings in `params/`."""
    files = sorted(path for path in (folder / "metrics").rglob("*") if path.is_file())[:MOST]
    return read_files(files, folder / "metrics", roles, str(folder))


def read_files(files: list[Path], base: Path, roles: Roles, title: str) -> list[History]:
    gathered = Gathering(title, roles)
    for file in files:
        gathered.take(batches(file, file.relative_to(base).as_posix()))
    if not gathered.rows:
        raise DataError(f"{title} holds no metric lines; expected `milliseconds value step`")
    params = base.parent / "params"
    settings = {
        one.name: one.read_text(encoding="utf-8", errors="replace").strip()
        for one in sorted(params.glob("*"))
        if one.is_file()
    }
    return histories(gathered, Log("mlflow", title, facts_of(settings)))


def batches(file: Path, name: str) -> Iterator[Batch]:
    steps: list[float] = []
    values: list[float] = []
    for line in Lines(file, head_of(file)):
        cells = line.split()
        value = number(cells[1]) if len(cells) > 1 else None
        if value is not None:
            values.append(value)
            steps.append(float(cells[2]) if len(cells) > 2 else float(len(steps)))
    there = np.ones(len(values), bool)
    if len(values):
        yield Batch(
            len(values), {"step": (np.array(steps), there), name: (np.array(values), there)}, lanes=[name] * len(values)
        )
