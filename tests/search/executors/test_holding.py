from types import SimpleNamespace
from typing import Any

from tunesmith.search.executors.holding import taker
from tunesmith.search.executors.work import Job


def worker(*trained: int, busy: bool = False) -> Any:
    return SimpleNamespace(
        job=Job(number=0, trial=99, config={}, start=0, upto=1) if busy else None, trained=set(trained)
    )


def job(trial: int) -> Job:
    return Job(number=1, trial=trial, config={}, start=3, upto=5)


def test_the_idle_worker_that_holds_the_trial_takes_it_and_no_other_holds_it_on() -> None:
    first, second, busy = worker(7, 8), worker(7), worker(7, busy=True)

    chosen = taker(job(7), [busy, second, first], 3, worker)

    assert chosen is second
    assert [one.trained for one in (first, second, busy)] == [{8}, {7}, set()]


def test_a_new_worker_begins_while_there_are_few() -> None:
    workers = [worker(1)]

    chosen = taker(job(7), workers, 2, worker)

    assert workers[1] is chosen
    assert chosen.trained == {7}


def test_else_the_idle_one_that_holds_least() -> None:
    most, least = worker(1, 2), worker(3)

    assert taker(job(7), [most, least, worker(busy=True)], 3, worker) is least
