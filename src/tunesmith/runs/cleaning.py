"""Making room: old checkpoints go, the best and the last stay."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunesmith.records import RunBusy, RunError
from tunesmith.runs.files import storing
from tunesmith.runs.lock import FolderLock

CUT_SHORT = (".draft-*", ".was-*", ".*.part")  # what a killed process leaves behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What went from one run folder, or would go."""

    folder: Path
    removed: tuple[Path, ...]
    bytes: int
    busy: str = ""  # why nothing was touched: the sentence that names the process writing to it


def clean(folder: str | Path, *, keep: int = 1, dry_run: bool = False) -> list[Cleaned]:
    """Removes the checkpoints of a run, or of every run below `folder`, but the best, the last and the newest `keep`.

    A run that is being written to is left alone. With `dry_run` nothing is removed, only counted.
    """
    if keep < 1:
        raise RunError(f"keep = {keep}: at least the newest checkpoint of a run stays, so keep is 1 or more")
    root = Path(folder)
    if not root.is_dir():
        raise RunError(f"no folder {root} to clean; give a run folder or a folder of runs")
    runs = sorted(file.parent for file in root.rglob("run.json") if (file.parent / "log.sqlite").exists())
    if not runs:
        raise RunError(f"{root} holds no runs; give a run folder or a folder of runs")
    return [_clean_one(run, keep, dry_run) for run in runs]


def _clean_one(run: Path, keep: int, dry_run: bool) -> Cleaned:
    try:
        lock = FolderLock(run)
    except RunBusy as error:
        return Cleaned(folder=run, removed=(), bytes=0, busy=str(error))
    try:
        doomed = tuple(_doomed(run / "checkpoints", keep))
        size = sum(_bytes(place) for place in doomed)
        if not dry_run:
            with storing(run / "checkpoints", "the best and the last checkpoint are kept"):
                for place in doomed:
                    _remove(place)
    finally:
        lock.release()
    return Cleaned(folder=run, removed=doomed, bytes=size)


def _doomed(checkpoints: Path, keep: int) -> Iterator[Path]:
    steps = sorted(int(place.name.removeprefix("step-")) for place in checkpoints.glob("step-*"))
    kept = {_pointed(checkpoints / f"{pointer}.json") for pointer in ("best", "last")} | set(steps[-keep:])
    for step in steps:
        if step not in kept:
            yield checkpoints / f"step-{step:010d}"
    for pattern in CUT_SHORT:
        for left in sorted(checkpoints.glob(pattern)):
            if not left.name.startswith(".was-") or (checkpoints / left.name.removeprefix(".was-")).exists():
                yield left


def _pointed(pointer: Path) -> int | None:
    if not pointer.exists():
        return None
    try:
        return int(json.loads(pointer.read_text(encoding="utf-8"))["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{pointer} is damaged ({error}), so it is not known which checkpoint must stay; "
            'write {"step": …} into it with the step to keep'
        ) from error


def _bytes(place: Path) -> int:
    files = [place, *place.rglob("*")]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _remove(place: Path) -> None:
    """Out of sight first: a kill midway leaves nothing that looks like a checkpoint."""
    if not place.is_dir():
        place.unlink()
        return
    doomed = place if place.name.startswith(".draft-") else place.with_name(f".draft-{place.name.lstrip('.')}")
    if doomed != place:
        shutil.rmtree(doomed, ignore_errors=True)
        os.rename(place, doomed)
    shutil.rmtree(doomed)
