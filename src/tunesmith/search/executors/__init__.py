"""Executors: where the trials are trained. Which one it is changes no result, only when it comes.

A member has four methods: `start` with the subject and the number of workers, `submit` a job, `wait` for reports of those under way,
`stop` everything.

>>> sorted(EXECUTORS)[:3]
['batched', 'local', 'pool']
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tunesmith.records import Catalog
from tunesmith.search.executors.work import Job, Report
from tunesmith.search.subject import Subject

__all__ = ["EXECUTORS", "Executor", "Job", "Report"]


class Executor(Protocol):
    """Carries out jobs; as many at once as there are workers."""

    def start(self, subject: Subject, workers: int, folder: Path | None) -> None:
        """Makes ready. `folder`: where logs may be written."""
        ...

    def submit(self, job: Job) -> None:
        """Takes a job; never more than `workers` are under way."""
        ...

    def wait(self, seconds: float | None = None) -> list[Report]:
        """What has come in since; waits for the first report, at most so long. Of a job that is over no more will come."""
        ...

    def stop(self) -> None:
        """Ends all jobs at once, and lets go of everything."""
        ...


EXECUTORS: Catalog[Callable[..., Executor]] = Catalog("executor")
EXECUTORS.load(__path__, __name__)
