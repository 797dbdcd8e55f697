"""`drive`: carries a search out on workers, so that the result depends on nothing but the seed and the number of workers.

Time is counted in budget units. A worker that is given `u` units at time `t` is done at `t + u`, however long that takes and whether
or not it came to the end; what it found becomes visible to the search in the order of these times (among equals in the order of the
proposals), and a worker asks for the next proposal when its own has been told of. So a proposal waits for the results that come
before it, and for no other. Those that come early are written into the journal, and wait.
"""

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tunesmith.records import DataError, StorageError, TrainingFailed
from tunesmith.runs.files import write_text
from tunesmith.runs.stopping import forget_request, requests
from tunesmith.search.ask import Search
from tunesmith.search.executors import EXECUTORS, Executor
from tunesmith.search.executors.work import Job, Report
from tunesmith.search.journal_book import Out
from tunesmith.search.proposal import Exhausted
from tunesmith.search.subject import Subject, ends

RETRIES = 2  # times that a proposal is run again whose worker died; assumption: a third death is the trial's own doing
KEEP = 3  # best trials whose checkpoints stay; assumption: enough to confirm and to average
STUCK = 100  # trials in a row that fail without a unit, which costs no budget and so would never end; assumption
HOPELESS = 10  # trials that fail, and none that does not, after which nothing better is expected; assumption
LOOK_SECONDS = 1.0  # between two looks for a request to stop
FOLDERS = "trials"


@dataclass(slots=True)
class _Busy:
    """A proposal that is carried out."""

    out: Out
    over: bool = False
    failed: str = ""
    records: tuple[dict[str, Any], ...] = ()  # the last ones, where they were told of without a checkpoint
    deaths: int = 0


def drive(
    search: Search,
    subject: Subject,
    executor: str | Executor = "local",
    workers: int = 1,
    *,
    seconds: float | None = None,
    timeout: float | None = None,
    keep: int = KEEP,
    retries: int = RETRIES,
    show: Callable[[Search], None] = lambda search: None,
) -> str:
    """Asks, trains and tells until nothing is left of the total; gives in a sentence why it ended.

    `seconds`: time for all; what is trained by then counts, the rest can be resumed. `timeout`: seconds that one budget unit may take,
    after which the trial has failed. The checkpoints of the best `keep` trials stay, and of those that may go on. A proposal whose worker
    died is run `retries` times more. `show` is called after every change.

    Ctrl-C, SIGTERM and a request to stop in the study folder (`runs/stopping.py`; seen between the units of the executor local) raise
    `KeyboardInterrupt` when everything is stopped; the search can then be resumed. Raises `StorageError` where a
    disk is full, `TrainingFailed` where the first trials all fail, or a hundred in a row without a unit.
    """
    if workers < 1:
        raise DataError(f"workers is {workers}; expected 1 or more")
    if timeout is not None and timeout <= 0:
        raise DataError(f"timeout is {timeout}; expected seconds above 0, or None")
    carrier = EXECUTORS[executor](timeout=timeout) if isinstance(executor, str) else executor
    with ExitStack() as stack:
        place = search.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tunesmith-search-")))
        if search.folder is not None:
            stack.callback(forget_request, search.folder)  # one that came too late
        stack.enter_context(_terminated_as_interrupted())
        stack.callback(carrier.stop)
        carrier.start(subject, workers, search.folder)
        until = None if seconds is None else time.monotonic() + seconds
        return _Drive(search, subject, carrier, workers, place, until, keep, retries, show).run()


class _Drive:
    def __init__(
        self,
        search: Search,
        subject: Subject,
        executor: Executor,
        workers: int,
        place: Path,
        until: float | None,
        keep: int,
        retries: int,
        show: Callable[[Search], None],
    ) -> None:
        self.search, self.subject, self.executor, self.workers = search, subject, executor, workers
        self.place, self.until, self.keep, self.retries, self.show = place, until, keep, retries, show
        self.busy: dict[int, _Busy] = {}  # by worker
        self.ended = ""
        self._asked_to_stop = requests(search.folder)
        self._looked = time.monotonic()

    def run(self) -> str:
        """Until nothing is left."""
        self._tidy(range(len(self.search.trials)))
        for trial in self.search.book.removed:  # again, where that was cut short
            self.subject.discard(folder_of(self.place, trial))
        for out in self.search.again():
            worker = out.worker if out.worker < self.workers and out.worker not in self.busy else self._idle()[0]
            self._submit(worker, _Busy(out))
        self._ask()
        while self.busy:
            worker = min(self.busy, key=lambda one: (self.busy[one].out.due, self.busy[one].out.number))
            while not self.busy[worker].over:
                if not self._wait():
                    return self._out_of_time()
            self._tell(worker)
            self._ask()
        return self.ended

    def _idle(self) -> list[int]:
        return [worker for worker in range(self.workers) if worker not in self.busy]

    def _ask(self) -> None:
        """Gives every idle worker a proposal, if there are any."""
        for worker in self._idle():
            if self._late():
                return
            try:
                proposal = self.search.ask(worker=worker)
            except Exhausted as reason:
                self.ended = str(reason)
                return
            self._submit(worker, _Busy(self.search.book.out[proposal.trial]))

    def _submit(self, worker: int, busy: _Busy) -> None:
        self.busy[worker] = busy
        out = busy.out
        start = out.proposal.start + len(out.kept)
        if out.failed or start >= out.proposal.upto or (out.kept and ends(out.kept[-1])):
            busy.over, busy.failed = True, out.failed  # it had come to its end when the search was interrupted
            return
        self.executor.submit(self._job(out, start))
        self.show(self.search)

    def _job(self, out: Out, start: int) -> Job:
        proposal = out.proposal
        copy_from = proposal.copy_from if not out.kept else None
        if copy_from is not None and not self.subject.copies:
            raise DataError(
                f"trial {proposal.trial} was to take over the weights of trial {copy_from}, which this objective cannot; choose "
                "another budget than one of populations"
            )
        folder = folder_of(self.place, proposal.trial)
        if self.subject.wants_folder:
            folder.mkdir(parents=True, exist_ok=True)
        return Job(
            number=out.number,
            trial=proposal.trial,
            config=proposal.config,
            start=start,
            upto=proposal.upto,
            folder=folder if self.subject.wants_folder else None,
            seed=seed_of(self.search.seed, proposal.trial),
            copy_from=None if copy_from is None else folder_of(self.place, copy_from),
        )

    def _late(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until

    def _wait(self) -> bool:
        """Takes what has come in; False where the time is over."""
        if self._late():
            return False
        left = None if self.until is None else max(0.0, self.until - time.monotonic())
        if self.search.folder is not None:
            left = LOOK_SECONDS if left is None else min(left, LOOK_SECONDS)
            self._listen()
        for report in self.executor.wait(left):
            worker = next((one for one, busy in self.busy.items() if busy.out.number == report.number), None)
            if worker is not None and not self.busy[worker].over:
                self._hear(worker, self.busy[worker], report)
        return True

    def _listen(self) -> None:
        """Obeys a request to stop, whichever it is: what is trained is in the journal at any time."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            if self._asked_to_stop() is not None:
                raise KeyboardInterrupt

    def _hear(self, worker: int, busy: _Busy, report: Report) -> None:
        trial = busy.out.proposal.trial
        if report.storage:
            raise StorageError(f"trial {trial} could not write: {report.failed}; free some space, then resume")
        if report.traceback:
            write_text(folder_of(self.place, trial) / "traceback.txt", report.traceback)
        if report.lost and busy.deaths < self.retries:
            busy.deaths += 1
            self.executor.submit(self._job(busy.out, busy.out.proposal.start + len(busy.out.kept)))
            return
        if report.lost:
            report = replace(report, failed=f"{report.failed}, {busy.deaths + 1} times")
        if report.over and self._is_first(worker):  # it is told of next
            busy.records = report.records
        elif report.records or report.over:
            self.search.checkpoint(trial, report.records, failed=report.failed)
        busy.over, busy.failed = report.over, report.failed
        if report.records or report.over:
            self.show(self.search)

    def _is_first(self, worker: int) -> bool:
        order = {one: (busy.out.due, busy.out.number) for one, busy in self.busy.items()}
        return order[worker] == min(order.values())

    def _tell(self, worker: int) -> None:
        busy = self.busy.pop(worker)
        trial = busy.out.proposal.trial
        self.search.tell(trial, [*busy.out.kept, *busy.records], failed=busy.failed)
        self._tidy([trial])
        self.show(self.search)
        self._look_at_failures()

    def _out_of_time(self) -> str:
        """Stops; what is trained of the proposals under way counts, and those without a unit wait for a resume."""
        self.executor.stop()
        for worker in sorted(self.busy, key=lambda one: (self.busy[one].out.due, self.busy[one].out.number)):
            if self.busy[worker].out.kept or self.busy[worker].over:
                self._tell(worker)
        return "the time is over"

    def _look_at_failures(self) -> None:
        trials = self.search.trials
        latest = [trial for trial in trials[-STUCK - self.workers :] if trial.id not in self.search.book.out][-STUCK:]
        if len(latest) == STUCK and all(trial.state == "failed" and not trial.records for trial in latest):
            raise TrainingFailed(
                f"the last {STUCK} trials all failed without a unit, the last with {latest[-1].reason}; mend that, then resume"
            )
        if HOPELESS <= len(trials) < 2 * HOPELESS + self.workers and all(
            trial.state == "failed" or trial.id in self.search.book.out for trial in trials
        ):
            failed = [trial for trial in trials if trial.state == "failed"]
            if len(failed) >= HOPELESS:
                raise TrainingFailed(
                    f"the first {len(failed)} trials all failed, the last with {failed[-1].reason}; mend that, then resume"
                )

    def _tidy(self, told: "range | list[int]") -> None:
        """Removes the checkpoints of trials that are over and not among the best."""
        trials, removed = self.search.trials, self.search.book.removed
        over = [trial.id for trial in trials if trial.state == "done"]
        best = sorted(over, key=lambda id: (trials.value(id), id))[: self.keep]
        lost = {*told, *over} - set(best)
        for id in sorted(lost):
            folder = folder_of(self.place, id)
            gone = trials[id].state in ("failed", "stopped", "done") and id not in removed
            if gone and folder.is_dir() and self.subject.wants_folder:
                self.search.remove(id, lambda folder=folder: self.subject.discard(folder))  # type: ignore[misc]


def folder_of(place: Path, trial: int) -> Path:
    """The folder of a trial, whether it is there or not."""
    return place / FOLDERS / f"{trial:06d}"


def seed_of(seed: int, trial: int) -> int:
    """The seed of a trial's training, in [0, 2^32)."""
    return int(np.random.SeedSequence([seed, trial]).generate_state(1, np.uint32)[0])


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM inside is Ctrl-C: everything is stopped, and the journal is whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
