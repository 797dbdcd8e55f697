"""TensorBoard: an event file, or a folder of them; runs in sub-folders; several files of one run are attempts."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.batches import ROWS, Batch
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Gathering
from tunesmith.runs.readers.naming import part_word, role_of
from tunesmith.runs.readers.settings import facts_beside, facts_of
from tunesmith.runs.readers.shaping import Log, histories
from tunesmith.runs.readers.wire import Damage, event, records

MARK = ".tfevents."
DEEPEST = 6  # folders under the one given
STAMP = re.compile(r"tfevents\.(\d+)")


def takes(path: Path, head: bytes) -> bool:
    return MARK in path.name and not path.is_dir()


def event_files(folder: Path) -> list[Path]:
    """Event files under a folder, the oldest first."""
    found = [
        path for path in folder.rglob(f"*{MARK}*") if path.is_file() and len(path.relative_to(folder).parts) <= DEEPEST
    ]
    return sorted(
        found, key=lambda path: (path.parent, int(match[1]) if (match := STAMP.search(path.name)) else 0, path.name)
    )


@reader("tensorboard", order=20, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    return read_run([(path, "")], roles, str(path))


def read_folder(folder: Path, roles: Roles, without: Callable[[Path], bool] = lambda place: False) -> list[History]:
    """One run for each folder with event files; `train` and `validation` beside each other are parts of one run."""
    found: list[History] = []
    refused: list[DataError] = []
    for place, files in by_run(folder).items():
        if without(place):
            continue
        try:
            found += read_run(files, roles, str(place))
        except DataError as error:
            refused.append(error)
    if not found:
        raise refused[0] if refused else DataError(f"no event files under {folder}")
    if len(found) > 1:
        said = Notice("readers.several_runs", count=len(found))
        found = [replace(one, notices=tuple(dict.fromkeys((said, *one.notices)))) for one in found]
    return found


def by_run(folder: Path) -> dict[Path, list[tuple[Path, str]]]:
    """Event files by run, each with what its folder adds to the tags."""
    runs: dict[Path, list[tuple[Path, str]]] = {}
    homes = {file.parent for file in event_files(folder)}
    for file in event_files(folder):
        place, above = file.parent, file.parent.parent
        part = part_word(place.name.casefold())
        if part and place != folder:
            runs.setdefault(above, []).append((file, place.name))
        elif above in homes and "_" in place.name:  # `add_scalars` of torch: a folder for each curve of a group
            runs.setdefault(above, []).append((file, place.name.rpartition("_")[2]))
        else:
            runs.setdefault(place, []).append((file, ""))
    return runs


def read_run(files: Sequence[tuple[Path, str]], roles: Roles, title: str) -> list[History]:
    """The event files of one run, in order."""
    gathered = Gathering(title, roles)
    settings: dict[str, Any] = {}
    notices: list[Notice] = []
    times: list[float] = []
    for file, name in files:
        damage = Damage()
        gathered.take(batches(file, name, damage, settings, times))
        if damage.records:
            notices.append(Notice("readers.bad_records", count=damage.records))
        if damage.after is not None:
            notices.append(Notice("readers.cut_records", records=damage.after))
    if not gathered.rows:
        raise DataError(
            f"{title} holds no scalars: pictures, graphs and histograms tell nothing of a training curve; log its loss with add_scalar"
        )
    facts: dict[str, Any] = facts_beside(files[0][0]) | facts_of(settings)
    if len(times) > 1 and times[-1] > times[0]:
        facts["seconds"] = times[-1] - times[0]
    return histories(gathered, Log("tensorboard", title, facts, tuple(notices)))


def batches(file: Path, name: str, damage: Damage, settings: dict[str, Any], times: list[float]) -> Iterator[Batch]:
    """Scalars as rows of step and value, each tag counting its steps for itself."""
    tags: dict[str, tuple[list[int], list[float]]] = {}
    waiting = 0
    with file.open("rb") as opened:
        for data in records(opened, damage):
            try:
                one = event(data)
            except ValueError:
                damage.records += 1
                continue
            settings |= one.settings
            if one.scalars:
                times[1:] = [one.wall_time]
                if not times:
                    times.append(one.wall_time)
            for tag, value in one.scalars:
                steps, values = tags.setdefault(f"{name}/{tag}" if name else tag, ([], []))
                steps.append(one.step)
                values.append(value)
                waiting += 1
            if waiting >= 16 * ROWS:
                yield from as_batches(tags)
                tags, waiting = {}, 0
    yield from as_batches(tags)


def as_batches(tags: dict[str, tuple[list[int], list[float]]]) -> Iterator[Batch]:
    """The epoch, where a tag holds it, is laid beside the steps of all others."""
    epoch = next((tag for tag in tags if role_of(tag).kind == "epoch"), None)
    for tag, (steps, values) in tags.items():
        if tag == epoch or tag == "hp_metric" or role_of(tag).kind == "step":
            continue
        numbers = {"step": np.array(steps, np.float64), tag: np.array(values)}
        if epoch:
            numbers["epoch"] = np.floor(
                np.interp(numbers["step"], np.asarray(tags[epoch][0]), np.asarray(tags[epoch][1])) + 1e-6
            )
        there = np.ones(len(steps), bool)
        yield Batch(len(steps), {column: (cells, there) for column, cells in numbers.items()}, lanes=[tag] * len(steps))
