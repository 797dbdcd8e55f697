"""A job, what is reported of it, and how a worker carries it out, wherever it is."""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.records import StorageError
from tunesmith.runs.files import FULL
from tunesmith.search.subject import Subject, ends, record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Train a trial from `start` to `upto` units. `number` is that of the proposal; `folder` is there."""

    number: int
    trial: int
    config: Mapping[str, Any]
    start: int
    upto: int
    folder: Path | None = None
    seed: int = 0
    copy_from: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """News of a job: units that are trained, or that it is over.

    `failed`: why it failed, in one line. `lost`: its worker is gone, so that the job may be tried again. `storage`: the disk would not
    take what it wrote, which is nobody's failure but the disk's. All empty is a sign of life.
    """

    number: int
    records: tuple[dict[str, Any], ...] = ()
    over: bool = False
    failed: str = ""
    traceback: str = ""
    lost: bool = False
    storage: bool = False


def carried_out(subject: Subject, job: Job) -> Iterator[Report]:
    """Trains, and reports each unit; the last report is `over`. What the subject raises is its failure, Ctrl-C is not."""
    done = job.start
    try:
        for value in subject.train(
            job.config, start=job.start, upto=job.upto, folder=job.folder, seed=job.seed, copy_from=job.copy_from
        ):
            if value is None:
                yield Report(number=job.number)
                continue
            record = record_of(value, f"unit {done + 1} of trial {job.trial}")
            done += 1
            over = done >= job.upto or ends(record)
            yield Report(number=job.number, records=(record,), over=over)
            if over:
                return
    except (Exception, SystemExit) as error:
        yield _failure(job, error)
        return
    yield Report(number=job.number, over=True, failed=f"ended after {done} of {job.upto} units")


def _failure(job: Job, error: BaseException) -> Report:
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    full = isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in FULL)
    return Report(
        number=job.number,
        over=True,
        failed=said,
        traceback="".join(traceback.format_exception(error)),
        storage=full,
    )
