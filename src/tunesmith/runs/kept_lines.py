"""A folder of work that is done piece by piece: what was asked, and one JSON line a piece, so that whatever stops, the next start goes on."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.records import RunError
from tunesmith.runs.files import plain, storing, write_bytes, write_json
from tunesmith.runs.lock import FolderLock

SETTINGS = "settings.json"
Piece = TypeVar("Piece")


class KeptLines:
    """The folder, held until `close`. `what` it holds and `line` one piece are named in errors, with their articles: a repair, a twin.

    Raises `RunError` where it holds other work of the kind, or some that is not to be resumed; `RunBusy` where another process
    writes to it.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> kept = KeptLines(place, {"n": 3}, "steps.jsonl", what="a walk", line="a step", resume=False)
    >>> kept.add({"far": 2})
    >>> list(kept.read(lambda told: told["far"]))
    [2]
    >>> kept.close()
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], lines: str, *, what: str, line: str, resume: bool
    ) -> None:
        self.folder, self.what, self.line = folder, what, line
        self._file = folder / lines
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self._open(json.loads(json.dumps(plain(settings))), resume=resume)
        except BaseException:
            self.close()
            raise

    def _open(self, asked: dict[str, Any], *, resume: bool) -> None:
        file = self.folder / SETTINGS
        if not file.exists():
            write_json(file, asked)
            return
        if not resume:
            raise RunError(f"{self.folder} holds {self.what}; resume it (--resume), or name another folder")
        there = json.loads(file.read_text(encoding="utf-8"))
        if there != asked:
            other = sorted(key for key in {*there, *asked} if there.get(key) != asked.get(key))
            raise RunError(
                f"{self.folder} holds {self.what} with other {', '.join(other)}; resume with the same, or name another folder"
            )

    def read(self, made: Callable[[dict[str, Any]], Piece]) -> Iterator[Piece]:
        """What each line tells, by `made`; a last line that was cut short is taken off the file.

        Raises `RunError` for a line that `made` can make nothing of.
        """
        if not self._file.exists():
            return
        held = self._file.read_bytes()
        whole = held[: held.rfind(b"\n") + 1]
        if whole != held:
            write_bytes(self._file, whole)
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                piece = made(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RunError(
                    f"line {number} of {self._file} is not {self.line} ({error}); delete it and what follows, then resume"
                ) from error
            yield piece

    def add(self, told: Mapping[str, Any]) -> None:
        """One line."""
        with storing(self._file), self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(plain(told), allow_nan=False) + "\n")

    def close(self) -> None:
        """Gives the folder back."""
        self._lock.release()
