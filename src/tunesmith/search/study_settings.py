"""study.json: what a study was begun with, which a resumed one must have too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, RunError, did_you_mean
from tunesmith.runs.files import plain, write_json
from tunesmith.runs.reading import read_json

FILE = "study.json"
LAYOUT = 1
MUST_AGREE = (
    "space", "max_budget", "prior", "sampler", "budget", "seed", "workers", "options", "max_trials", "subject",
)  # fmt: skip
MAY_GROW = ("total",)


def begin(folder: Path, settings: Mapping[str, Any], *, resume: bool) -> dict[str, Any]:
    """Makes a new study folder, or checks that an old one goes on as it was begun; gives what now stands in study.json.

    Raises `RunError` for a folder that holds something else, for a study without `resume`, and for settings that differ.
    """
    asked = _writable(settings)
    held = folder / FILE
    if held.is_file():
        if not resume:
            raise RunError(f"{folder} holds a search already; go on with it by resume=True, or choose another folder")
        return _agreed(folder, read_settings(folder), asked)
    others = [one.name for one in folder.iterdir() if not _ours(one.name)] if folder.is_dir() else []
    if others:
        raise RunError(f"{folder} is not empty and holds no search; choose an empty or a new folder")
    if resume and not folder.is_dir():
        raise RunError(f"no search in {folder} to go on with{_beside(folder)}; leave out resume to begin one there")
    return {"layout": LAYOUT, **asked}


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes study.json whole or not at all."""
    write_json(folder / FILE, settings)


def read_settings(folder: Path) -> dict[str, Any]:
    """What stands in study.json. Raises `RunError` where there is none, or one of a later version."""
    if not folder.is_dir():
        raise RunError(f"no search in {folder}{_beside(folder)}; give the folder that `tunesmith search` named")
    if not (folder / FILE).is_file():
        raise RunError(f"{folder} is no study: it holds no {FILE}; give the folder that `tunesmith search` named")
    read = read_json(folder / FILE)
    layout = read.get("layout")
    if not isinstance(layout, int) or layout > LAYOUT:
        raise RunError(
            f"study {folder} has layout {layout!r}, this version reads up to {LAYOUT}; `pip install -U tunesmith`"
        )
    return read


def _agreed(folder: Path, held: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    for name in MUST_AGREE:
        before, now = held.get(name), asked.get(name)
        if before != now:
            raise RunError(
                f"a resumed search goes on as it was begun, but {name} is {_short(now)} here and {_short(before)} in {folder}; "
                "leave that as it was, or choose another folder"
            )
    for name in MAY_GROW:
        before, now = held.get(name), asked.get(name)
        if before != now and not (now is None or (before is not None and now > before)):
            raise RunError(
                f"{name} is {now} here and {before} in {folder}; a resumed search may have more of it, not less"
            )
    return {**held, **{name: asked.get(name) for name in MAY_GROW}}


def _writable(settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(plain(settings))
    except TypeError as error:
        raise DataError(
            f"a search in a folder writes its settings down, and there is {error}; search without a folder, or give names"
        ) from None


def _ours(name: str) -> bool:
    return name == "lock" or (name.startswith(".") and name.endswith(".part"))


def _beside(folder: Path) -> str:
    if not folder.parent.is_dir():
        return ""
    names = [one.name for one in folder.parent.iterdir() if (one / FILE).is_file()]
    return did_you_mean(folder.name, names)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:119] + "…"
