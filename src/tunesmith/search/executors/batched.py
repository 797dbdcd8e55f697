"""batched: in this process, small nets of one architecture as one stack.

The jobs that wait are handed to the subject together, kind by kind, and a new one joins at the next unit. Where the subject finds
that a stack does not pay, it trains them one after the other. When a stack breaks, its jobs are trained one by one, and the
traceback is left in their folders. Subjects that train together: `BatchedSubject`.
"""

import traceback
from collections.abc import Hashable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from tunesmith.records import DataError
from tunesmith.records.clock import OutOfTime, limited
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.executors.local import timed_out
from tunesmith.search.executors.work import Job, Report, carried_out
from tunesmith.search.subject import Record, Subject, TrainsTogether, ends, record_of

Rounds = Iterator[Mapping[int, Record | None]]


@dataclass(slots=True)
class _Stack:
    """Jobs of one kind, by number, each from the unit it stands at, and what trains them; None until they are gathered anew."""

    jobs: dict[int, Job] = field(default_factory=dict)
    rounds: Rounds | None = None

    def close(self) -> None:
        """Stops between two rounds; what was trained is not lost."""
        rounds, self.rounds = self.rounds, None
        if rounds is not None:
            cast(Any, rounds).close()


@EXECUTORS.add("batched")
class Batched:
    """As many jobs at once as workers. `timeout`: seconds that one budget unit may take; a round of a stack has as many for each job."""

    def __init__(self, *, timeout: float | None = None) -> None:
        self.timeout = timeout
        self._stacks: dict[Hashable, _Stack] = {}
        self._alone: dict[int, tuple[Job, Iterator[Report]]] = {}

    def start(self, subject: Subject, workers: int, folder: Path | None) -> None:
        if not isinstance(subject, TrainsTogether):
            raise DataError(
                f"the executor batched got a {type(subject).__name__}, whose trials cannot share a stack; search a BatchedSubject "
                "of a plain model and arrays, or take executor='local' or 'pool'"
            )
        self._subject: Subject = subject
        self._together: TrainsTogether = subject

    def submit(self, job: Job) -> None:
        try:
            kind = self._together.kind(job.config)
        except Exception:  # of the configuration: `train` says so, of this job alone
            kind = None
        if kind is None:
            self._alone[job.number] = (job, carried_out(self._subject, job))
            return
        stack = self._stacks.setdefault(kind, _Stack())
        stack.close()
        stack.jobs[job.number] = job

    def wait(self, seconds: float | None = None) -> list[Report]:
        """A round of the stack, or a unit of the job alone, that has waited longest."""
        oldest = min([*self._alone, *(number for stack in self._stacks.values() for number in stack.jobs)])
        if oldest in self._alone:
            return [self._unit(*self._alone[oldest])]
        kind = next(kind for kind, stack in self._stacks.items() if oldest in stack.jobs)
        return self._round(kind, self._stacks[kind])

    def _unit(self, job: Job, reports: Iterator[Report]) -> Report:
        try:
            with self._limited(1):
                report = next(reports)
        except OutOfTime:
            report = Report(number=job.number, over=True, failed=timed_out(self.timeout or 0.0))
        if report.over:
            del self._alone[job.number]
        return report

    def _limited(self, jobs: int) -> Any:
        return nullcontext() if self.timeout is None else limited(self.timeout * jobs)

    def _round(self, kind: Hashable, stack: _Stack) -> list[Report]:
        try:
            with self._limited(len(stack.jobs)):
                if stack.rounds is None:
                    stack.rounds = self._together.train_together(list(stack.jobs.values()))
                found = next(stack.rounds)
        except (Exception, OutOfTime):  # a full disk too: each job meets it again, and says so
            return self._one_by_one(kind, stack)
        reports = [self._told(stack, number, value) for number, value in found.items()]
        if not stack.jobs:
            stack.close()
            del self._stacks[kind]
        return reports

    @staticmethod
    def _told(stack: _Stack, number: int, value: Record | None) -> Report:
        if value is None:
            return Report(number=number)
        job = stack.jobs[number]
        try:
            record = record_of(value, f"unit {job.start + 1} of trial {job.trial}")
        except DataError as error:
            del stack.jobs[number]
            stack.close()
            return Report(number=number, over=True, failed=f"{type(error).__name__}: {error}")
        stack.jobs[number] = replace(job, start=job.start + 1, copy_from=None)
        over = job.start + 1 >= job.upto or ends(record)
        if over:
            del stack.jobs[number]
        return Report(number=number, records=(record,), over=over)

    def _one_by_one(self, kind: Hashable, stack: _Stack) -> list[Report]:
        """Gives the stack up, while its exception is handled: nothing is lost but the gain."""
        told = traceback.format_exc()
        del self._stacks[kind]
        self._alone |= {number: (job, carried_out(self._subject, job)) for number, job in stack.jobs.items()}
        return [Report(number=number, traceback=told) for number in stack.jobs]

    def stop(self) -> None:
        for stack in self._stacks.values():
            stack.close()
        self._stacks.clear()
        self._alone.clear()
