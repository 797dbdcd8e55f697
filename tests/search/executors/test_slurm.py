"""Jobs of a cluster, by submitit's executor of local processes."""

import os
import signal
import time

import pytest

from tests.search.searching import SPACE, by_trial, halving, mutating, undisturbed
from tunesmith.records import DataError
from tunesmith.search import Real
from tunesmith.search.ask import Search
from tunesmith.search.driver import drive
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.subjects import subject_of

pytest.importorskip("submitit")
pytestmark = pytest.mark.filterwarnings(  # submitit leaves the processes of its local executor to themselves
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


def curve(config):
    unit = 0
    while True:
        unit += 1
        yield {"score": (config["x"] - 0.3) ** 2 + config["depth"] / 10 + 1 / unit}


def test_without_a_folder_that_all_see_it_does_not_start():
    with pytest.raises(DataError, match="needs a folder that all machines see"):
        EXECUTORS["slurm"]().start(subject_of(curve), 1, None)


@pytest.mark.slow
def test_the_same_trials_as_anywhere_else(tmp_path):
    given = {"sampler": mutating, "budget": halving, "seed": 3, "workers": 2, "folder": tmp_path / "s"}

    with Search(SPACE, 9, total=12, **given) as search:
        drive(search, subject_of(curve), EXECUTORS["slurm"](cluster="local"), 2)

    assert by_trial(search) == by_trial(undisturbed(2, total=12))


@pytest.mark.slow
def test_a_job_that_dies_or_hangs_is_noticed(tmp_path):
    def troubled(config):
        if config["x"] < 0.3:
            os.kill(os.getpid(), signal.SIGKILL)
        if config["x"] < 0.6:
            time.sleep(600)
        return config["x"]

    with Search({"x": Real(0, 1)}, 1, total=6, sampler="random", budget="full", folder=tmp_path / "s") as search:
        drive(search, subject_of(troubled), EXECUTORS["slurm"](cluster="local", timeout=3.0), 1, retries=0)

    for trial in search.trials:
        x = trial.change["x"]
        assert trial.state == ("done" if x >= 0.6 else "failed")
        assert trial.reason.startswith("its job" if x < 0.3 else "timed out" if x < 0.6 else "")
