"""pool: worker processes on this machine, one thread each.

A trial goes on in the process that trained it before, if that is free. A process that dies is noticed and replaced; one in which
a budget unit takes longer than the timeout is killed, with all that it started.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tunesmith.search.executors import EXECUTORS
from tunesmith.search.executors.channel import packed, receive, send
from tunesmith.search.executors.holding import taker
from tunesmith.search.executors.local import timed_out
from tunesmith.search.executors.work import Job, Report
from tunesmith.search.subject import Subject
from tunesmith.search.subjects.command import WORKER

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


class Process:
    """One worker process, and the thread that reads what it reports."""

    def __init__(self, subject: bytes, news: "queue.SimpleQueue[Any]", log: IO[bytes] | None) -> None:
        environment = {**os.environ, **dict.fromkeys((*ONE_THREAD, WORKER), "1")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.search.executors.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )
        self.job: Job | None = None
        self.trained: set[int] = set()  # trials that it may still hold
        self.ready = False  # it has imported what it needs, which no timeout counts
        self.heard = time.monotonic()
        self._news = news
        threading.Thread(target=self._read, daemon=True).start()
        self._send((sys.path, subject))

    def give(self, job: Job) -> None:
        """Sends a job to the idle process."""
        self.job, self.heard = job, time.monotonic()
        self._send(job)

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it died: the reading thread says so
            send(self._process.stdin, message)

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                self._news.put((self, receive(self._process.stdout)))
        except (EOFError, OSError, ValueError):  # ValueError: closed while it was read
            self._news.put((self, None))

    def kill(self) -> None:
        """Ends it and all that it started; returns when it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()

    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.wait()
        if code >= 0:
            return f"its process ended with exit code {code}"
        try:
            return f"its process was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"its process was ended by signal {-code}"


@EXECUTORS.add("pool")
class Pool:
    """As many processes as workers, started when they are first needed. `timeout`: seconds that one budget unit may take."""

    def __init__(self, *, timeout: float | None = None) -> None:
        self.timeout = timeout
        self._processes: list[Process] = []
        self._news: queue.SimpleQueue[tuple[Process, Report | None]] = queue.SimpleQueue()
        self._log: IO[bytes] | None = None

    def start(self, subject: Subject, workers: int, folder: Path | None) -> None:
        self._blob = packed(subject)
        self._workers = workers
        if folder is not None:
            self._log = (folder / "workers.log").open("ab")

    def submit(self, job: Job) -> None:
        taker(job, self._processes, self._workers, lambda: Process(self._blob, self._news, self._log)).give(job)

    def wait(self, seconds: float | None = None) -> list[Report]:
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            try:
                process, report = self._news.get(timeout=self._patience(until))
            except queue.Empty:
                reports = self._hanging()
                if reports or (until is not None and time.monotonic() >= until):
                    return reports
                continue
            reports = self._heard(process, report)
            if reports:
                return reports

    def _patience(self, until: float | None) -> float | None:
        """Seconds until somebody has to be looked after; None for no end."""
        ends = [] if until is None else [until]
        if self.timeout is not None:
            ends += [one.heard + self.timeout for one in self._processes if one.ready and one.job is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _heard(self, process: Process, report: Report | None) -> list[Report]:
        job = process.job
        if process not in self._processes:  # killed meanwhile
            return []
        if report is None:
            self._processes.remove(process)
            said = process.end()
            process.kill()  # what it started
            return [] if job is None else [Report(number=job.number, over=True, failed=said, lost=True)]
        process.heard = time.monotonic()
        if not process.ready:
            process.ready = True
            return []
        if report.over:
            process.job = None
        return [report]

    def _hanging(self) -> list[Report]:
        reports = []
        for process in list(self._processes):
            job = process.job
            if not process.ready or job is None or self.timeout is None:
                continue
            if time.monotonic() >= process.heard + self.timeout:
                self._processes.remove(process)
                process.kill()
                reports.append(Report(number=job.number, over=True, failed=timed_out(self.timeout)))
        return reports

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
        self._processes.clear()
        if self._log is not None:
            self._log.close()
            self._log = None
