"""The folder of a tuning: a new one, or one that is gone on with as it was asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, RunError
from tunesmith.runs.files import write_json
from tunesmith.runs.reading import read_json
from tunesmith.runs.tuning import FILE

LAYOUT = 1
KEPT = ("unit", "total", "seed")  # what cannot be asked for otherwise when it is gone on with


def opened(folder: Path, about: Mapping[str, Any], resume: bool) -> None:
    """Begins a tuning in a folder, or sees to it that the one there is the same: `about` becomes its tune.json.

    Raises `RunError` for a folder that is not empty, or holds another tuning, `DataError` where the data are others.
    """
    if not resume:
        if folder.is_dir() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty; give another folder, or go on with what is there: --resume")
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, {"layout": LAYOUT, **about})
        return
    told = settings_of(folder)
    if told.get("fingerprint") != about["fingerprint"]:
        raise DataError(
            f"the data differ from those of {folder}; give the same files, or start a new tuning in another folder"
        )
    differing = [f"{name} = {about[name]} here, {told[name]} there" for name in KEPT if about[name] != told[name]]
    if differing:
        raise RunError(
            f"a tuning goes on as it was asked for, but {'; '.join(differing)}; leave the budget and the seed out"
        )


def settings_of(folder: Path) -> dict[str, Any]:
    """tune.json of a folder. Raises `RunError` where there is none, or a damaged one."""
    file = folder / FILE
    if not file.is_file():
        raise RunError(
            f"{folder} holds no tuning: there is no {FILE} in it; start one: tunesmith tune DATA --folder {folder}"
        )
    return read_json(file)
