"""A folder of others' logs: the file in it that tells most of each run."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers import mlflow, tensorboard
from tunesmith.runs.readers.catalogue import READERS, Roles, reader
from tunesmith.runs.readers.opening import head_of

DEEPEST = 6  # folders below the one given
MOST_FILES = 2000  # looked at
MOST_RUNS = 200
CHECKPOINT = re.compile(r"^checkpoint[-_](\d+)$")
USUAL = re.compile(
    r"^(metrics|results|summary|history|log|logs|training|training_?log|train_?log|progress|scores|loss(es)?)\.(csv|tsv)(\.gz)?$",
    re.IGNORECASE,
)
KINDS: tuple[tuple[str, Callable[[Path], bool]], ...] = (  # what tells most comes first
    ("state", lambda path: path.name == "trainer_state.json"),
    ("usual tables", lambda path: bool(USUAL.match(path.name))),
    (
        "records",
        lambda path: (
            bare(path).endswith((".jsonl", ".ndjson", ".log.json")) or path.name in ("scalars.json", "metrics.json")
        ),
    ),
    (
        "histories",
        lambda path: (
            bare(path).endswith(".json")
            and re.search(r"hist|metric|log|result|loss|train|stat", path.name, re.IGNORECASE) is not None
        ),
    ),
    ("events", lambda path: tensorboard.MARK in path.name),
    (
        "metrics",
        lambda path: path.parent.name == "metrics" and not path.suffix and mlflow.takes(path, head_of(path, 4096)),
    ),
    ("tables", lambda path: bare(path).endswith((".csv", ".tsv"))),
    ("printed", lambda path: bare(path).endswith((".log", ".out", ".txt", ".err"))),
)


def bare(path: Path) -> str:
    return path.name.casefold().removesuffix(".gz")


def takes(path: Path, head: bytes) -> bool:
    return path.is_dir()


@reader("folder", order=80, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    files = list(walk(path))
    found: list[History] = []
    covered: set[Path] = set()
    left: list[tuple[Path, DataError]] = []
    for kind, belongs in KINDS:
        mine = [file for file in files if belongs(file)]
        known = frozenset(covered)

        def told(place: Path, known: frozenset[Path] = known) -> bool:
            return any(place == one or one in place.parents or place in one.parents for one in known)

        for place, one in read_kind(path, kind, mine, roles, told, left):
            covered.add(place)
            found += one
            if len(found) > MOST_RUNS:
                raise DataError(f"{path} holds more than {MOST_RUNS} runs; give the folder of one of them, or of fewer")
    if not found:
        raise DataError(nothing(path, files, left))
    return told_together(found, path, left)


def walk(folder: Path) -> Iterator[Path]:
    """Files under a folder, those of hidden folders left out."""
    number = 0
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder).parts
        if len(below) <= DEEPEST and not any(part.startswith(".") for part in below) and path.is_file():
            number += 1
            if number > MOST_FILES:
                return
            yield path


def read_kind(
    folder: Path,
    kind: str,
    files: list[Path],
    roles: Roles,
    told: Callable[[Path], bool],
    left: list[tuple[Path, DataError]],
) -> Iterator[tuple[Path, list[History]]]:
    """Runs by the place they are told of; places already told of by a better kind are passed over."""
    if kind == "events":
        if any(not told(file.parent) for file in files):
            try:
                for one in tensorboard.read_folder(folder, roles, told):
                    yield Path(one.title.split(": ")[0]), [one]
            except DataError as error:
                left.append((files[0], error))
        return
    if kind == "metrics":
        for place in sorted({file.parent.parent for file in files}):
            if not told(place):
                yield place, mlflow.read_run(place, roles)
        return
    for place, file in last_states(files) if kind == "state" else [(file.parent, file) for file in files]:
        if told(place):
            continue
        try:
            yield place, read_file(file, roles)
        except DataError as error:
            left.append((file, error))


def last_states(files: list[Path]) -> list[tuple[Path, Path]]:
    """Of the checkpoints of a run the last: its state holds the history of all before. The state beside them is later still."""
    runs: dict[Path, tuple[float, Path]] = {}
    for file in files:
        checkpoint = CHECKPOINT.match(file.parent.name)
        place, number = (file.parent.parent, float(checkpoint[1])) if checkpoint else (file.parent, float("inf"))
        if place not in runs or number > runs[place][0]:
            runs[place] = number, file
    return [(place, file) for place, (_, file) in runs.items()]


def read_file(file: Path, roles: Roles) -> list[History]:
    head = head_of(file)
    for one in sorted(READERS.values(), key=lambda found: (found.order, found.name)):
        if one.takes(file, head):
            return one.read(file, roles)
    raise DataError(f"{file} is no log that can be read")


def told_together(found: list[History], folder: Path, left: list[tuple[Path, DataError]]) -> list[History]:
    said = [Notice("readers.several_runs", count=len(found))] if len(found) > 1 else []
    if left:
        names = ", ".join(str(file.relative_to(folder)) for file, _ in left[:5]) + (" …" if len(left) > 5 else "")
        said.append(Notice("readers.left_files", count=len(left), files=names))
    return [
        replace(one, notices=tuple(dict.fromkeys((*said, Notice("readers.chosen_file", file=one.title), *one.notices))))
        for one in found
    ]


def nothing(folder: Path, files: list[Path], left: list[tuple[Path, DataError]]) -> str:
    if left:
        return f"no training curve in folder {folder}: of {len(files)} files none could be read as one; the first that was tried: {left[0][1]}"
    return (
        f"no log in folder {folder}: none of its {len(files)} files is a run of ours, a table, JSON, trainer_state.json, event file or printed log; "
        "give the log itself, or the folder it is in"
    )
