"""slurm: every stretch of training is a job of a Slurm cluster, submitted by submitit (extra `slurm`).

The study folder must be one that all machines see: the jobs write their records there, line by line. Subjects that keep their state in
memory alone start anew with each job, so that a generator is run again from its beginning; those with checkpoints go on.
"""

import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, MissingExtra
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.executors.channel import packed
from tunesmith.search.executors.local import timed_out
from tunesmith.search.executors.work import Job, Report, carried_out
from tunesmith.search.subject import Subject

POLL_SECONDS = 0.2  # assumption: small beside what a cluster takes to start a job
MINUTES = 24 * 60  # asked for a job, where nothing else is said; assumption


def trained(blob: bytes, job: Job, place: str) -> None:
    """What a job of the cluster does: trains, and writes each report as a line."""
    with open(place, "a", encoding="utf-8") as file:
        for report in _with_sign_of_life(blob, job):
            file.write(json.dumps(asdict(report)) + "\n")
            file.flush()


def _with_sign_of_life(blob: bytes, job: Job) -> Iterator[Report]:
    subject: Subject = pickle.loads(blob)
    yield Report(number=job.number)
    yield from carried_out(subject, job)


@dataclass(slots=True)
class _Submitted:
    job: Job
    handle: Any  # of submitit
    place: Path
    read: int = 0  # bytes of the file of reports
    heard: float | None = None  # when; None while it waits in the queue
    reports: list[Report] = field(default_factory=list)


@EXECUTORS.add("slurm")
class Slurm:
    """Jobs of a cluster. `timeout`: seconds that one budget unit may take; `parameters`: what submitit takes (`slurm_partition` …).

    `cluster`: `slurm`, or `local` for processes on this machine, which is how it is tested.
    """

    def __init__(self, *, timeout: float | None = None, cluster: str = "slurm", **parameters: Any) -> None:
        self.timeout, self.cluster, self.parameters = timeout, cluster, parameters
        self._jobs: list[_Submitted] = []

    def start(self, subject: Subject, workers: int, folder: Path | None) -> None:
        if folder is None:
            raise DataError("the executor slurm needs a folder that all machines see; pass folder='…'")
        try:
            import submitit  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError as error:
            raise MissingExtra("the executor slurm needs submitit: pip install 'tunesmith[slurm]'") from error
        self._place = (folder / "slurm").resolve()
        self._place.mkdir(parents=True, exist_ok=True)
        self._blob = packed(subject)
        self._executor = submitit.AutoExecutor(folder=self._place, cluster=self.cluster)
        self._executor.update_parameters(**{"timeout_min": MINUTES, "cpus_per_task": 1, **self.parameters})

    def submit(self, job: Job) -> None:
        place = self._place / f"reports-{job.number}-{time.time_ns()}.jsonl"
        place.touch()
        handle = self._executor.submit(trained, self._blob, job, str(place))
        self._jobs.append(_Submitted(job, handle, place))

    def wait(self, seconds: float | None = None) -> list[Report]:
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            reports = [report for one in list(self._jobs) for report in self._look(one)]
            if reports or (until is not None and time.monotonic() >= until):
                return reports
            time.sleep(POLL_SECONDS)

    def _look(self, one: _Submitted) -> list[Report]:
        ended = one.handle.done()  # before its file is read: what it wrote last is there then
        reports = self._news(one)
        if reports:
            one.heard = time.monotonic()
        if any(report.over for report in reports):
            self._jobs.remove(one)
        elif ended:
            self._jobs.remove(one)
            said = f"its job {one.handle.job_id} ended as {one.handle.state}"
            reports.append(Report(number=one.job.number, over=True, failed=said, lost=True))
        elif self.timeout is not None and one.heard is not None and time.monotonic() >= one.heard + self.timeout:
            self._jobs.remove(one)
            one.handle.cancel()
            reports.append(Report(number=one.job.number, over=True, failed=timed_out(self.timeout)))
        return reports

    @staticmethod
    def _news(one: _Submitted) -> list[Report]:
        """The lines that are whole and new."""
        with one.place.open("rb") as file:
            file.seek(one.read)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        one.read += len(whole) + 1
        told = [json.loads(line) for line in whole.split(b"\n")]
        return [Report(**{**report, "records": tuple(report["records"])}) for report in told]

    def stop(self) -> None:
        for one in self._jobs:
            one.handle.cancel()
        self._jobs.clear()
