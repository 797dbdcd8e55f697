"""ray: worker actors of a Ray cluster (extra `ray`), started where Ray has room; a running cluster is joined, else one is started here.

Subjects that write checkpoints need a study folder that all nodes see. A node or actor that is lost is noticed, and its proposal is
run again elsewhere.
"""

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.records import MissingExtra
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.executors.channel import packed
from tunesmith.search.executors.holding import taker
from tunesmith.search.executors.local import timed_out
from tunesmith.search.executors.work import Job, Report, carried_out
from tunesmith.search.subject import Subject

PATIENCE_SECONDS = 1.0  # between two looks at the clock; assumption


class Trainer:
    """What an actor is: it keeps the subject, and with it generators that are to go on."""

    def __init__(self, blob: bytes) -> None:
        self.subject: Subject = pickle.loads(blob)

    def train(self, job: Job) -> Iterator[Report]:
        """The reports of a job, one by one; the first is a sign of life."""
        yield Report(number=job.number)
        yield from carried_out(self.subject, job)


class _Actor:
    """An actor, the job that it carries out, and the stream of its reports."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.job: Job | None = None
        self.stream: Any = None
        self.trained: set[int] = set()
        self.heard: float | None = None  # None while it starts


@EXECUTORS.add("ray")
class Ray:
    """As many actors as workers. `timeout`: seconds that one budget unit may take; `address`: of the cluster; `options`: of an actor."""

    def __init__(self, *, timeout: float | None = None, address: str | None = None, **options: Any) -> None:
        self.timeout, self.address, self.options = timeout, address, {"num_cpus": 1, **options}
        self._actors: list[_Actor] = []
        self._began = False

    def start(self, subject: Subject, workers: int, folder: Path | None) -> None:
        try:
            import ray  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError as error:
            raise MissingExtra("the executor ray needs Ray: pip install 'tunesmith[ray]'") from error
        self._ray, self._workers = ray, workers
        if not ray.is_initialized():
            ray.init(address=self.address or os.environ.get("RAY_ADDRESS"), log_to_driver=False, include_dashboard=None)
            self._began = True
        self._blob = ray.put(packed(subject))
        self._made = ray.remote(**self.options)(Trainer)

    def submit(self, job: Job) -> None:
        chosen = taker(job, self._actors, self._workers, lambda: _Actor(self._made.remote(self._blob)))
        chosen.job, chosen.heard = job, None
        chosen.stream = chosen.handle.train.options(num_returns="streaming").remote(job)

    def wait(self, seconds: float | None = None) -> list[Report]:
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = PATIENCE_SECONDS if until is None else max(0.0, min(PATIENCE_SECONDS, until - time.monotonic()))
            streams = {actor.stream: actor for actor in self._actors if actor.job is not None}
            ready, _ = self._ray.wait(list(streams), timeout=left, fetch_local=False) if streams else ([], [])
            reports = [report for stream in ready for report in self._heard(streams[stream])] + self._hanging()
            if reports or (until is not None and time.monotonic() >= until):
                return reports

    def _heard(self, actor: _Actor) -> list[Report]:
        assert actor.job is not None
        try:
            report: Report = self._ray.get(next(actor.stream))
        except (StopIteration, self._ray.exceptions.RayError) as error:
            self._end(actor)
            said = f"its actor was lost ({type(error).__name__})"
            return [Report(number=actor.job.number, over=True, failed=said, lost=True)]
        actor.heard = time.monotonic()
        if report.over:
            actor.job = None
        return [report]

    def _hanging(self) -> list[Report]:
        reports = []
        for actor in list(self._actors):
            if self.timeout is None or actor.job is None or actor.heard is None:
                continue
            if time.monotonic() >= actor.heard + self.timeout:
                self._end(actor)
                reports.append(Report(number=actor.job.number, over=True, failed=timed_out(self.timeout)))
        return reports

    def _end(self, actor: _Actor) -> None:
        self._actors.remove(actor)
        self._ray.kill(actor.handle)

    def stop(self) -> None:
        for actor in list(self._actors):
            self._end(actor)
        if self._began:
            self._ray.shutdown()
            self._began = False
