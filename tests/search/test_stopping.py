"""A search ends at a request in its folder as it does at Ctrl-C, and goes on from there."""

import threading
import time
from pathlib import Path

import pytest

from tunesmith.runs.stopping import FILE, ask_to_stop
from tunesmith.search import Real
from tunesmith.search.ask import Search
from tunesmith.search.driver import drive
from tunesmith.search.subjects import subject_of

SPACE = {"x": Real(0, 1)}


def slow(config):
    """A score a unit, a tenth of a second each."""
    for unit in range(1, 10):
        time.sleep(0.1)
        yield config["x"] + 1 / unit


def quick(config):
    for unit in range(1, 10):
        yield config["x"] + 1 / unit


@pytest.mark.parametrize("executor", ["local", "pool"])
def test_a_request_ends_the_search_and_it_can_be_resumed(tmp_path: Path, executor: str) -> None:
    folder = tmp_path / "study"
    ask_to_stop_late = threading.Timer(1.5, ask_to_stop, (folder, "save"))
    with Search(SPACE, 9, total=90, sampler="random", folder=folder) as search:
        ask_to_stop_late.start()

        with pytest.raises(KeyboardInterrupt):
            drive(search, subject_of(slow), executor)

    assert not (folder / FILE).exists()
    ask_to_stop(folder, "stop")  # before the start: not meant for it
    with Search(SPACE, 9, total=90, sampler="random", folder=folder, resume=True) as search:
        drive(
            search, subject_of(quick), show=lambda search: ask_to_stop(folder) if not search.left else None
        )  # too late
    assert search.left == 0
    assert not (folder / FILE).exists()
