"""What a search survives, shown on its journal: no trial lost, no unit counted twice, the same trials and best as undisturbed."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from tests.search.searching import SPACE, by_trial, halving, mutating, undisturbed
from tunesmith.records import StorageError
from tunesmith.search.ask import Search
from tunesmith.search.driver import drive
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.journal import FILE, read
from tunesmith.search.subject import TrainsFromScratch
from tunesmith.search.subjects import subject_of

pytestmark = pytest.mark.slow
WORKERS = 2
TOTAL = 60


def score(config, unit):
    return (config["x"] - 0.3) ** 2 + config["depth"] / 10 + 1 / unit


def searched(objective, executor, folder, *, resume=False, **given):
    with Search(
        SPACE,
        9,
        total=TOTAL,
        sampler=mutating,
        budget=halving,
        seed=3,
        workers=WORKERS,
        folder=folder,
        resume=resume,
    ) as search:
        drive(search, subject_of(objective), executor, WORKERS, **given)
    return search


def assert_each_unit_counts_once(search, folder):
    """Every trial of the journal is begun once and told of as often as it was asked for; its units are those that were spent."""
    events = read(folder / FILE)[0]
    assert sum(len(event.get("records", ())) for event in events) == search.trials.spent == TOTAL
    first = [event["trial"] for event in events if event["event"] == "begun" and event["start"] == 0]
    assert sorted(first) == [trial.id for trial in search.trials]
    asked = sorted(event["trial"] for event in events if event["event"] == "begun")
    assert asked == sorted(event["trial"] for event in events if event["event"] == "told")


def assert_as_undisturbed(search, folder):
    expected = undisturbed(WORKERS, total=TOTAL)
    assert by_trial(search) == by_trial(expected)
    assert search.best.id == expected.best.id
    assert_each_unit_counts_once(search, folder)


def listed(pids):
    """The objective, in a process that leaves its number in the folder `pids`."""

    def trained(config):
        (pids / str(os.getpid())).touch()
        for unit in range(1, 10):
            time.sleep(0.002)
            yield {"score": score(config, unit)}

    return trained


class Killer:
    """Kills one of the listed processes when the search changes for the `moment`-th time, or as soon after as there is one."""

    def __init__(self, pids, seed):
        self.pids, self.draws = pids, random.Random(seed)
        self.moment, self.changes, self.killed = self.draws.randrange(1, 90), 0, []

    def __call__(self, search):
        self.changes += 1
        there = sorted(int(place.name) for place in self.pids.iterdir())
        if self.changes < self.moment or self.killed or not there:
            return
        time.sleep(self.draws.uniform(0, 0.004))  # somewhere inside a unit
        self.killed.append(self.draws.choice(there))
        os.kill(self.killed[0], signal.SIGKILL)


@pytest.fixture(scope="module")
def ray_cluster():
    """Two nodes of Ray on this machine, with one worker's room each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        made.add_node(num_cpus=1)
        yield made.address
    finally:
        made.shutdown()


@pytest.fixture(params=["local", "pool", "ray"])
def executor(request):
    """Makes the executor of that name."""
    address = {"address": request.getfixturevalue("ray_cluster")} if request.param == "ray" else {}
    return lambda **given: EXECUTORS[request.param](**address, **given)


@pytest.mark.parametrize("executor", ["pool", "ray"], indirect=True)
@pytest.mark.parametrize("seed", range(10))
def test_a_worker_killed_at_any_moment_changes_nothing(tmp_path, executor, seed):
    pids = tmp_path / "pids"
    pids.mkdir()
    killer = Killer(pids, seed)

    search = searched(listed(pids), executor(), tmp_path / "s", show=killer)

    assert len(killer.killed) == 1
    assert_as_undisturbed(search, tmp_path / "s")


def troubled(trouble):
    """About a third of the trials end in trouble, at a unit that is theirs."""

    def trained(config):
        ill = random.Random(repr(config["x"]))
        unit_of_trouble = ill.randrange(1, 10) if ill.random() < 0.5 else 0
        for unit in range(1, 10):
            if unit == unit_of_trouble:
                trouble()
            yield {"score": score(config, unit)}

    return trained


def raising():
    raise RuntimeError("not today")


def hanging():
    while True:
        time.sleep(60)


def without_reasons(search):
    return [trial[:-1] for trial in by_trial(search)]


def test_an_objective_that_raises_at_random_loses_nothing(tmp_path, executor):
    search = searched(troubled(raising), executor(), tmp_path / "s")

    assert by_trial(search) == by_trial(searched(troubled(raising), "local", tmp_path / "other"))
    failed = [trial for trial in search.trials if trial.state == "failed"]
    assert failed
    assert {trial.reason for trial in failed} == {"RuntimeError: not today"}
    assert_each_unit_counts_once(search, tmp_path / "s")


def test_an_objective_that_hangs_for_ever_is_one_that_raised(tmp_path, executor):
    search = searched(troubled(hanging), executor(timeout=1.0), tmp_path / "s")

    raised = searched(troubled(raising), "local", tmp_path / "other")
    assert without_reasons(search) == without_reasons(raised)
    assert search.best.id == raised.best.id
    failed = [trial for trial in search.trials if trial.state == "failed"]
    assert {trial.reason for trial in failed} == {"timed out: no budget unit in 1 s"}
    assert_each_unit_counts_once(search, tmp_path / "s")


class Saving(TrainsFromScratch):
    """Leaves a checkpoint of some pages in the folder of the trial, whole or not at all, and goes on from it."""

    copies = False
    wants_folder = True

    def train(self, config, *, start, upto, folder, seed, copy_from):
        place = folder / "state.bin"
        if start and int(place.read_bytes()[:8]) < start:
            raise ValueError(f"the checkpoint is older than unit {start}")
        for unit in range(start + 1, upto + 1):
            whole = folder / "state.tmp"
            whole.write_bytes(f"{unit:08d}".encode() + bytes(6000))
            whole.replace(place)
            yield {"score": score(config, unit)}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("executor", ["local", "pool"], indirect=True)
@pytest.mark.parametrize("free_pages", [3, 20, 60])
def test_a_disk_that_is_full_stops_the_search_which_then_goes_on(small_disk, executor, free_pages):
    free = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes((free.f_bavail - free_pages) * free.f_frsize))

    with pytest.raises(StorageError) as stopped:
        searched(Saving(), executor(), small_disk / "s")
    ballast.unlink()
    search = searched(Saving(), executor(), small_disk / "s", resume=(small_disk / "s" / "study.json").is_file())

    assert "\n" not in str(stopped.value)
    assert "space" in str(stopped.value)
    assert_as_undisturbed(search, small_disk / "s")
