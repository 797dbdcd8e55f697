"""One training of a ladder, and the file that keeps those that are done."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.runs.files import storing
from tunesmith.runs.kept_lines import KeptLines

LINES, PLACES = "rungs.jsonl", "rungs"


@dataclass(frozen=True, slots=True)
class Rung:
    """Width, share of the training rows, factor on the rate, and seed of one training."""

    width: int
    share: float
    factor: float
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"width-{self.width}-rows-{self.share:g}-rate-{self.factor:g}-seed-{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbed:
    """A rung and what came of it: `loss` is the smallest validation loss of its epochs, None where it was not finite."""

    rung: Rung
    parameters: int
    rows: int
    rate: float
    loss: float | None
    epoch: int
    epochs: int
    value: float | None  # the metric at that epoch
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self.rung) | {name: getattr(self, name) for name in self.__slots__ if name != "rung"}


def climbed_of(row: Mapping[str, Any]) -> Climbed:
    """The same from its dict."""
    own = {name: row[name] for name in Rung.__slots__}
    return Climbed(rung=Rung(**own), **{name: value for name, value in row.items() if name not in own})


class Ladder:
    """A folder of rungs, held until `close`: a line a training that is done, `rungs/NAME` for each. Raises as `KeptLines` does."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self._kept = KeptLines(folder, settings, LINES, what="a ladder", line="a training of a ladder", resume=resume)
        try:
            self.done = {one.rung: one for one in self._kept.read(climbed_of)}
        except BaseException:
            self.close()
            raise

    def place(self, rung: Rung) -> Path:
        """The folder of a rung's training, where it also goes on."""
        found = self.folder / PLACES / rung.name
        with storing(found):
            found.mkdir(parents=True, exist_ok=True)
        return found

    def add(self, one: Climbed) -> None:
        """Writes down a training that is done."""
        self._kept.add(one.as_dict())
        self.done[one.rung] = one

    def close(self) -> None:
        """Gives the folder back."""
        self._kept.close()


def rungs(widths: Sequence[int], shares: Sequence[float], factors: Sequence[float], seeds: Sequence[int]) -> list[Rung]:
    """All of them, the cheap ones first.

    >>> [one.name for one in rungs([8, 4], [1.0], [1.0], [0])]
    ['width-4-rows-1-rate-1-seed-0', 'width-8-rows-1-rate-1-seed-0']
    """
    return [
        Rung(width, share, factor, seed)
        for width in sorted(widths)
        for share in sorted(shares)
        for seed in seeds
        for factor in sorted(factors)
    ]
