"""local: in this process, one job after the other.

A timeout works in the main thread of systems that have alarms; elsewhere an objective that hangs hangs the search.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from tunesmith.records.clock import OutOfTime, limited
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.executors.work import Job, Report, carried_out
from tunesmith.search.subject import Subject


@EXECUTORS.add("local")
class Local:
    """Jobs in the order they came; `timeout`: seconds that one budget unit may take."""

    def __init__(self, *, timeout: float | None = None) -> None:
        self.timeout = timeout
        self._jobs: deque[tuple[Job, Iterator[Report]]] = deque()

    def start(self, subject: Subject, workers: int, folder: Path | None) -> None:
        self._subject = subject

    def submit(self, job: Job) -> None:
        self._jobs.append((job, carried_out(self._subject, job)))

    def wait(self, seconds: float | None = None) -> list[Report]:
        job, reports = self._jobs[0]
        report = self._next(job, reports)
        if report.over:
            self._jobs.popleft()
        return [report]

    def _next(self, job: Job, reports: Iterator[Report]) -> Report:
        if self.timeout is None:
            return next(reports)
        try:
            with limited(self.timeout):
                return next(reports)
        except OutOfTime:
            return Report(number=job.number, over=True, failed=timed_out(self.timeout))

    def stop(self) -> None:
        self._jobs.clear()


def timed_out(seconds: float) -> str:
    """The reason of a job that hung."""
    return f"timed out: no budget unit in {seconds:g} s"
