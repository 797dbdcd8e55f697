"""The runs and searches of a folder, found within two levels, and those of a tuning; nothing outside is served, whatever a link points to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.records import RunError
from tunesmith.runs import Run
from tunesmith.runs.tuning import is_tuning
from tunesmith.search.study import RUN
from tunesmith.search.study_settings import FILE as STUDY
from tunesmith.search.study_settings import read_settings

LEVELS = 2
OF_A_TUNING = 3  # steps, a step, its run
MOST = 500  # places on one page; assumption: more rows are not looked through
HELD = {"run": ("run.json", "log.sqlite"), "study": (STUDY,)}


@dataclass(frozen=True, slots=True)
class Place:
    """A run or a search. `id` is its path inside the folder, "." the folder itself."""

    id: str
    kind: Literal["run", "study"]
    folder: Path


def places(root: Path) -> dict[str, Place]:
    """What lies in a folder, the newest first."""
    found = sorted(_below(root, root, LEVELS), key=lambda one: -_age(one))[:MOST]
    return {one.id: one for one in found}


def checked(folder: Path) -> Path:
    """The folder, if there is something in it to show, or may come to be. Raises `RunError` with what is there instead."""
    if not folder.is_dir():
        if folder.exists():
            raise RunError(f"{folder} is a file; give the folder of a run or a search, or one that holds several")
        raise RunError(f"no folder {folder}; give the folder of a run or a search, or one that holds several")
    found = places(folder)
    if not found and not is_tuning(folder):
        raise RunError(
            f"{folder} holds no run and no search, within {LEVELS} levels; give the folder that `tunesmith fit` or "
            "`tunesmith search` named, or one that holds several"
        )
    for one in found.values():
        if one.id == ".":
            Run(one.folder) if one.kind == "run" else read_settings(one.folder)
    return folder


def trial_place(study: Place, trial: int) -> Place | None:
    """The run of a trial; None where its subject keeps none, or it is gone."""
    folder = study.folder / "trials" / f"{trial:06d}" / RUN
    inside = study.folder.resolve()
    whole = _is(folder, "run") and folder.resolve().is_relative_to(inside)
    return Place(f"{study.id}/trials/{trial}", "run", folder) if whole else None


def is_inside(place: Place, root: Path) -> bool:
    """Whether the place, and the files that are read of it, still lie in the folder served."""
    home = root.resolve()
    files = [place.folder, *(place.folder / name for name in HELD[place.kind])]
    return all(file.resolve().is_relative_to(home) for file in files)


def _below(root: Path, folder: Path, levels: int) -> Iterator[Place]:
    for kind in HELD:
        if _is(folder, kind):
            place = Place(folder.relative_to(root).as_posix(), "run" if kind == "run" else "study", folder)
            if is_inside(place, root):
                yield place
            return
    if is_tuning(folder):
        levels = OF_A_TUNING
    if not levels:
        return
    try:
        inside = [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for name in inside:
        if not name.startswith("."):
            yield from _below(root, folder / name, levels - 1)


def _is(folder: Path, kind: str) -> bool:
    return all((folder / name).is_file() for name in HELD[kind])


def _age(place: Place) -> float:
    """When it was begun: its first file is not written anew while it goes on."""
    first = {"run": "recipe.toml", "study": STUDY}[place.kind]
    try:
        return (place.folder / first).stat().st_mtime
    except OSError:
        return 0.0
