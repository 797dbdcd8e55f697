"""The folder of a repair: one JSON line a twin, so that whatever stops, the next start trains only what is not there yet."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunesmith.records import RunError
from tunesmith.runs.files import plain, storing, write_bytes, write_json
from tunesmith.runs.lock import FolderLock

SETTINGS, LINES = "settings.json", "twins.jsonl"


class Twins:
    """Twins by what was changed and by seed; in memory alone where there is no folder.

    Raises `RunError` where the folder holds another repair, or one that is not to be resumed, and `RunBusy` where another process writes
    to it.
    """

    def __init__(self, folder: Path | None, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self.done: dict[tuple[str, int], dict[str, Any]] = {}
        self._lock: FolderLock | None = None
        if folder is None:
            return
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self._open(folder, settings, resume=resume)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        asked, file = json.loads(json.dumps(plain(settings))), folder / SETTINGS
        if not file.exists():
            write_json(file, asked)
            return
        if not resume:
            raise RunError(f"{folder} holds a repair; resume it, or name another folder")
        there = json.loads(file.read_text(encoding="utf-8"))
        if there != asked:
            other = sorted(key for key in {*there, *asked} if there.get(key) != asked.get(key))
            raise RunError(
                f"{folder} holds a repair with other {', '.join(other)}; resume with the same, or name another folder"
            )
        self.done = self._read(folder / LINES)

    def _read(self, file: Path) -> dict[tuple[str, int], dict[str, Any]]:
        """The twins that were trained; a last line that was cut short is taken off the file."""
        if not file.exists():
            return {}
        held = file.read_bytes()
        whole = held[: held.rfind(b"\n") + 1]
        if whole != held:
            write_bytes(file, whole)
        found = {}
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                one = json.loads(line)
                found[one["change"], one["seed"]] = one["told"]
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"line {number} of {file} is no twin of a repair ({error}); delete it and what follows, then resume"
                ) from error
        return found

    def say(self, change: str, seed: int, told: Mapping[str, Any]) -> dict[str, Any]:
        """Writes a twin down, and gives it as it will be read."""
        line = json.dumps({"change": change, "seed": seed, "told": plain(told)}, allow_nan=False)
        if self.folder is not None:
            file = self.folder / LINES
            with storing(file), file.open("a", encoding="utf-8") as out:
                out.write(line + "\n")
        read: dict[str, Any] = json.loads(line)["told"]
        self.done[change, seed] = read
        return read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives the folder back."""
        if self._lock is not None:
            self._lock.release()
