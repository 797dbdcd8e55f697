"""The folder of a long simulation: one JSON line a generation, and the data that the next one is trained on.

`settings.json` says what was asked; `generations.jsonl` has a line for each generation of each replicate; `drawn/R-G.npy` or `.txt`
is what generation G of replicate R is given. A line is written after its data, so whatever stops, the next start goes on.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import RunError
from tunesmith.runs.files import plain, storing, write_bytes, write_json, write_whole
from tunesmith.runs.lock import FolderLock

SETTINGS, LINES, DRAWN = "settings.json", "generations.jsonl", "drawn"


class Kept:
    """A folder of generations, held until `close`. Raises `RunError` where it holds another simulation, or one that is not to be
    resumed, and `RunBusy` where another process writes to it.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self._open(folder, settings, resume=resume)
        except BaseException:
            self.close()
            raise

    def _open(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        asked = json.loads(json.dumps(plain(settings)))
        file = folder / SETTINGS
        if file.exists():
            there = json.loads(file.read_text(encoding="utf-8"))
            if not resume:
                raise RunError(f"{folder} holds a simulation; resume it (--resume), or name another folder")
            if there != asked:
                other = sorted(key for key in {*there, *asked} if there.get(key) != asked.get(key))
                raise RunError(
                    f"{folder} holds a simulation with other {', '.join(other)}; resume with the same, or name another folder"
                )
        else:
            write_json(file, asked)
        self.done = self._read()

    def close(self) -> None:
        """Gives the folder back."""
        self._lock.release()

    def _read(self) -> dict[tuple[int, int], dict[str, float]]:
        """Measures by replicate and generation; a last line that was cut short is taken off the file."""
        file = self.folder / LINES
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
                found[one["replicate"], one["generation"]] = {
                    name: float(value) for name, value in one["measures"].items()
                }
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RunError(
                    f"line {number} of {file} is no line of a simulation ({error}); delete it and what follows, then resume"
                ) from error
        return found

    def say(self, replicate: int, generation: int, measures: Mapping[str, float], seconds: float) -> None:
        """One line."""
        line = {
            "replicate": replicate,
            "generation": generation,
            "measures": {name: value if math.isfinite(value) else str(value) for name, value in measures.items()},
            "seconds": round(seconds, 3),
        }
        file = self.folder / LINES
        with storing(file), file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(plain(line), allow_nan=False) + "\n")
        self.done[replicate, generation] = dict(measures)

    def put(self, replicate: int, generation: int, data: Any) -> None:
        """Keeps the data of a generation. Raises `RunError` for what is neither text nor numbers."""
        place = self.folder / DRAWN / f"{replicate}-{generation}"
        if isinstance(data, str):
            write_bytes(place.with_suffix(".txt"), data.encode("utf-8"))
            return
        array = np.asarray(data)
        if array.dtype.hasobject:
            raise RunError(
                f"a generation's data came as {type(data).__name__}; expected text or an array of numbers, or no folder"
            )
        write_whole(place.with_suffix(".npy"), lambda file: np.save(file, array, allow_pickle=False))

    def get(self, replicate: int, generation: int) -> Any:
        place = self.folder / DRAWN / f"{replicate}-{generation}"
        text = place.with_suffix(".txt")
        if text.exists():
            return text.read_bytes().decode("utf-8")
        with storing(place):
            return np.load(place.with_suffix(".npy"), allow_pickle=False)
