"""What is searched: something that trains a configuration, budget unit by budget unit."""

import math
import shutil
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tunesmith.records import DataError
from tunesmith.records.plain import plain
from tunesmith.search.history import SCORE, score_of

if TYPE_CHECKING:
    from tunesmith.search.executors.work import Job

Record = Mapping[str, Any]
KEPT = (".txt", ".log")  # what stays of a trial whose checkpoints are removed


class Subject(Protocol):
    """Trains a configuration. It is sent to other processes whole, so it must be picklable, and open files late."""

    copies: bool  # it can take over another trial's weights
    wants_folder: bool  # it writes into the folder of the trial

    def train(
        self,
        config: Mapping[str, Any],
        *,
        start: int,
        upto: int,
        folder: Path | None,
        seed: int,
        copy_from: Path | None,
    ) -> Iterable[Record | None]:
        """One record for each unit from `start` + 1 to `upto`: `{"score": …}` with whatever else was measured; lower is better.

        What it needs for going on at `upto` later it leaves in `folder`, which is there, and is the trial's alone. It may find the trial
        further than `start` there, or not so far: records come from `start` + 1 on all the same. None is a sign of life without a record.
        `copy_from`: the folder of the trial whose weights are taken over, trained for `start` units. A `"cause"` in a record ends the
        trial; whatever is raised fails it.
        """
        ...

    def discard(self, folder: Path) -> None:
        """Deletes what is only needed for going on; the trial is over, and not among the best."""
        ...


@runtime_checkable
class TrainsTogether(Protocol):
    """What a subject has besides, that can train several trials at once in one process: the executor `batched` asks for it."""

    def kind(self, config: Mapping[str, Any]) -> Hashable:
        """What trials must have alike to be trained together; None for one that is trained alone."""
        ...

    def train_together(self, jobs: "Sequence[Job]") -> Iterator[Mapping[int, Record | None]]:
        """Trains jobs of one kind, whatever units they stand at, and gives what each `train` would: in rounds, records by job number.

        A round has at most one unit of each job, and none is owed one in every round; None is a sign of life. A job is over at its
        last unit, or at a record that ends it. The iterator may be closed between rounds, and the jobs that are left taken up again
        by another, from the units that were told. It raises only what is nobody's fault alone: the jobs are then trained one by one.
        """
        ...


class TrainsFromScratch:
    """The part that subjects without checkpoints share."""

    copies = False
    wants_folder = False

    def discard(self, folder: Path) -> None:
        discard_all(folder)


def discard_all(folder: Path) -> None:
    """Deletes everything in a trial's folder but its texts, and the folder where nothing is left."""
    if not folder.is_dir():
        return
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.suffix not in KEPT:
            one.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def record_of(value: Any, said: str) -> dict[str, Any]:
    """A record of a score or of a mapping with one. Raises `DataError` for anything else; `said` names who gave it.

    >>> record_of(0.5, "f"), record_of({"score": 1, "loss": 2.0}, "f")
    ({'score': 0.5}, {'score': 1.0, 'loss': 2.0})
    """
    if isinstance(value, Mapping):
        record = {str(name): plain(item) for name, item in value.items()}
        if SCORE not in record:
            raise DataError(
                f"{said} gave a record with {', '.join(map(repr, record)) or 'nothing'}; expected a 'score' in it"
            )
        return record | {SCORE: _number(record[SCORE], said)}
    return {SCORE: _number(value, said)}


def _number(value: Any, said: str) -> float:
    if value is None or isinstance(value, bool | str):
        raise DataError(f"{said} gave {value!r} for a score; expected a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{said} gave a {type(value).__name__} for a score; expected a number") from None


def ends(record: Record) -> bool:
    """Whether a trial cannot go on after this record."""
    return bool(record.get("cause")) or not math.isfinite(score_of(record))
