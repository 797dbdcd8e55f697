"""The folder of a long simulation: one JSON line a generation, and the data that the next one is trained on.

`settings.json` says what was asked; `generations.jsonl` has a line for each generation of each replicate; `drawn/R-G.npy` or `.txt`
is what generation G of replicate R is given. A line is written after its data, so whatever stops, the next start goes on.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import RunError
from tunesmith.runs.files import storing, write_bytes, write_whole
from tunesmith.runs.kept_lines import KeptLines

LINES, DRAWN = "generations.jsonl", "drawn"


class Kept:
    """A folder of generations, held until `close`. Raises as `KeptLines` does."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self._kept = KeptLines(
            folder, settings, LINES, what="a simulation", line="a line of a simulation", resume=resume
        )
        try:
            self.done = dict(self._kept.read(_generation))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the folder back."""
        self._kept.close()

    def say(self, replicate: int, generation: int, measures: Mapping[str, float], seconds: float) -> None:
        """One line."""
        self._kept.add(
            {
                "replicate": replicate,
                "generation": generation,
                "measures": {name: value if math.isfinite(value) else str(value) for name, value in measures.items()},
                "seconds": round(seconds, 3),
            }
        )
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


def _generation(told: dict[str, Any]) -> tuple[tuple[int, int], dict[str, float]]:
    measures = {name: float(value) for name, value in told["measures"].items()}
    return (told["replicate"], told["generation"]), measures
