"""The subject of a `Program` for `search`: a configuration is a way, a budget unit an epoch, or a whole training where the loop is its own."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.autopilot.program.reading import Reading
from tunesmith.autopilot.program.training import Record, Training
from tunesmith.autopilot.program.ways import Way
from tunesmith.doctor.preflight import Bench
from tunesmith.records import DataError
from tunesmith.search.subject import discard_all

BROKEN = "the training broke: "


class ProgramSubject:
    """Trains copies of the program on a bench, all with the same seed, so that they differ by their configuration alone."""

    copies = False
    wants_folder = True

    def __init__(self, bench: Bench, way: Way, reading: Reading, over: Callable[[], bool] = lambda: False) -> None:
        self.bench, self.way, self.reading = bench, way, reading
        self.over = over  # whether the budget is spent, which ends a loop between its epochs

    @property
    def whole(self) -> bool:
        """Whether a training cannot be stopped between epochs and gone on with."""
        return self.bench.program.loop is not None

    def train(
        self,
        config: Mapping[str, Any],
        *,
        start: int,
        upto: int,
        folder: Path | None,
        seed: int,
        copy_from: Path | None,
    ) -> Iterator[Record]:
        """One record a unit."""
        assert folder is not None
        made = Training(self.bench, {**self.way, **config}, self.reading, folder).resumed()
        if not self.whole:
            for record in made.epochs(start, upto):
                yield _told(record)
            return
        told = list(made.epochs(0, made.program.epochs, self.over))
        scored = [one for one in told if one["score"] == one["score"]]
        yield _told(min(scored, key=lambda one: one["score"]) if scored and not told[-1].get("cause") else told[-1])

    def discard(self, folder: Path) -> None:
        """Its checkpoints."""
        discard_all(folder)


def _told(record: Record) -> Record:
    """The record as a search takes it. Raises `DataError` for an epoch that raised."""
    cause = record.get("cause", "")
    if cause and cause != "loss.nonfinite":
        raise DataError(f"{BROKEN}{cause}")
    return {name: value for name, value in record.items() if value is not None}
