"""The folder of a repair: one JSON line a twin, so that whatever stops, the next start trains only what is not there yet."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunesmith.runs.files import plain
from tunesmith.runs.kept_lines import KeptLines

LINES = "twins.jsonl"


class Twins:
    """Twins by what was changed and by seed; in memory alone where there is no folder. Raises as `KeptLines` does."""

    def __init__(self, folder: Path | None, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.done: dict[tuple[str, int], dict[str, Any]] = {}
        self._kept: KeptLines | None = None
        if folder is not None:
            self._kept = KeptLines(folder, settings, LINES, what="a repair", line="a twin of a repair", resume=resume)
            try:
                self.done = dict(self._kept.read(_twin))
            except BaseException:
                self._kept.close()
                raise

    def say(self, change: str, seed: int, told: Mapping[str, Any]) -> dict[str, Any]:
        """Writes a twin down, and gives it as it will be read."""
        line = {"change": change, "seed": seed, "told": plain(told)}
        read: dict[str, Any] = json.loads(json.dumps(line, allow_nan=False))["told"]
        if self._kept is not None:
            self._kept.add(line)
        self.done[change, seed] = read
        return read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives the folder back."""
        if self._kept is not None:
            self._kept.close()


def _twin(told: dict[str, Any]) -> tuple[tuple[str, int], dict[str, Any]]:
    return (told["change"], told["seed"]), told["told"]
