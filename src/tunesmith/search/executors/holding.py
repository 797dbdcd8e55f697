"""Which worker takes a job: one that trained its trial before goes on with what it holds of it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from tunesmith.search.executors.work import Job


class Holding(Protocol):
    """A worker: its job, None while it is idle, and the trials that it may still hold."""

    job: Job | None
    trained: set[int]


Worker = TypeVar("Worker", bound=Holding)


def taker(job: Job, workers: list[Worker], most: int, begin: Callable[[], Worker]) -> Worker:
    """An idle worker that holds the trial, else a new one while there are fewer than `most`, else the idle one that holds least.

    What the others hold of the trial falls behind.
    """
    idle = [worker for worker in workers if worker.job is None]
    holding = [worker for worker in idle if job.trial in worker.trained]
    if holding:
        chosen = holding[0]
    elif len(workers) < most:
        chosen = begin()
        workers.append(chosen)
    else:
        chosen = min(idle, key=lambda worker: len(worker.trained))
    for worker in workers:
        worker.trained.discard(job.trial)
    chosen.trained.add(job.trial)
    return chosen
