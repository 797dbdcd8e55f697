"""The driver: the same trials whatever the machine's speed, the executor, and what dies, hangs or raises on the way."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from tests.search.searching import SPACE, by_trial, halving, mutating, undisturbed
from tunesmith.records import DataError, StorageError, TrainingFailed
from tunesmith.search import Choice, Real
from tunesmith.search.ask import Search
from tunesmith.search.driver import drive, folder_of
from tunesmith.search.journal import FILE, read
from tunesmith.search.subject import TrainsFromScratch
from tunesmith.search.subjects import subject_of


def at_random(low, high):
    """A number that no seed repeats."""
    return random.SystemRandom().uniform(low, high)


def curve(config):
    """A score a unit, after some time that differs from run to run."""
    unit = 0
    while True:
        unit += 1
        time.sleep(at_random(0, 0.003))
        yield {"score": (config["x"] - 0.3) ** 2 + config["depth"] / 10 + 1 / unit, "seconds_waited": 0.0}


def searched(objective, executor="local", workers=1, *, folder=None, resume=False, total=60, **given):
    with Search(
        SPACE, 9, total=total, sampler=mutating, budget=halving, seed=3, workers=workers, folder=folder, resume=resume
    ) as search:
        drive(search, subject_of(objective), executor, workers, **given)
    return search


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_same_trials_whatever_the_order_in_which_they_finish(workers):
    expected = undisturbed(workers=workers)

    pool, local = searched(curve, "pool", workers), searched(curve, "local", workers)

    assert by_trial(pool) == by_trial(local) == by_trial(expected)
    assert pool.best.id == expected.best.id
    assert pool.left == 0


@pytest.mark.parametrize("workers", [3, 5, 16])
def test_workers_that_are_not_there_change_nothing_either(workers):
    first, again = searched(curve, workers=workers), searched(curve, workers=workers)

    assert by_trial(first) == by_trial(again) == by_trial(undisturbed(workers=workers))


def test_results_become_visible_in_virtual_order(tmp_path):
    """Two workers; the proposals of one unit come back before those of many, and neither is seen before its time."""
    searched(curve, workers=2, folder=tmp_path / "s")

    clock, due, told = [0.0, 0.0], {}, []
    for event in read(tmp_path / "s" / FILE)[0]:
        if event["event"] == "begun":
            assert event["at"] == clock[event["worker"]] or event["at"] == max(told)
            due[event["trial"]] = event["at"] + event["upto"] - event["start"]
        elif event["event"] == "told":
            told.append(due[event["trial"]])
            clock = [told[-1], told[-1]]
    assert told == sorted(told)


def test_generators_that_are_kept_alive_are_not_run_again():
    begun = []

    def counted(config):
        begun.append(config["x"])
        yield from curve(config)

    search = searched(counted)

    assert len(begun) == len(search.trials)
    assert any(len(trial.records) == 9 for trial in search.trials)


def test_what_raises_fails_with_its_words_and_its_traceback_and_nothing_is_lost(tmp_path):
    def raising(config):
        for unit, record in enumerate(curve(config), start=1):
            if config["x"] < -0.5 or (config["x"] > 0.7 and unit == 2):
                raise ZeroDivisionError(f"at {config['x']:.2f}")
            yield record

    search = searched(raising, folder=tmp_path / "s")

    failed = [trial for trial in search.trials if trial.state == "failed"]
    assert failed
    assert all(trial.reason == f"ZeroDivisionError: at {trial.change['x']:.2f}" for trial in failed)
    assert all("raise ZeroDivisionError" in _traceback(tmp_path / "s", trial.id) for trial in failed)
    assert search.left == 0


def _traceback(folder, trial):
    return (folder_of(folder, trial) / "traceback.txt").read_text(encoding="utf-8")


def test_what_raises_at_random_loses_no_trial():
    def moody(config):
        for record in curve(config):
            if at_random(0, 1) < 0.2:
                raise RuntimeError("not today")
            yield record

    search = searched(moody, "pool", 2)

    assert {trial.state for trial in search.trials} <= {"failed", "paused", "done"}
    assert search.trials.spent == sum(len(trial.records) for trial in search.trials) == 60
    assert not search.book.out


def test_a_unit_that_hangs_is_killed_and_recorded():
    def hanging(config):
        for unit, record in enumerate(curve(config), start=1):
            if config["x"] < -0.9 and unit == 1:
                time.sleep(600)
            yield record

    search = searched(hanging, "pool", 1, timeout=1.0, total=30)

    hung = [trial for trial in search.trials if trial.change["x"] < -0.9]
    assert hung
    assert all((trial.state, trial.reason) == ("failed", "timed out: no budget unit in 1 s") for trial in hung)
    assert all(trial.state != "failed" for trial in search.trials if trial not in hung)


def test_a_unit_that_hangs_in_this_process_is_interrupted():
    def hanging(config):
        time.sleep(600 if config["x"] < 0 else 0)
        return config["x"]

    with Search(SPACE, 1, total=4, sampler="random", budget="full") as search:
        drive(search, subject_of(hanging), timeout=0.05)

    assert {trial.change["x"] < 0: trial.state for trial in search.trials} == {True: "failed", False: "done"}


def test_a_worker_that_dies_is_replaced_and_its_units_count_once(tmp_path):
    def mortal(config, folder):
        for unit, record in enumerate(curve(config), start=1):
            mark = folder / f"died-{unit}"
            if unit == 2 and config["x"] > 0.2 and not list(folder.parent.glob("*/died-*")):
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield record

    search = searched(mortal, "pool", 2, folder=tmp_path / "s")

    assert len(list(tmp_path.glob("s/trials/*/died-2"))) == 1
    assert by_trial(search) == by_trial(searched(curve, "local", 2))


def test_a_worker_that_always_dies_fails_its_trial():
    def mortal(config):
        if config["x"] == 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        return config["x"]

    search = Search({"x": Choice([0.5])}, 1, max_trials=1, sampler="random", budget="full")
    drive(search, subject_of(mortal), "pool", retries=1)

    assert (search.trials[0].state, search.trials[0].reason) == ("failed", "its process was ended by SIGKILL, 2 times")


def test_a_process_that_ends_by_itself_says_how():
    def leaving(config):
        os._exit(7)

    search = Search(SPACE, 1, max_trials=1, sampler="random", budget="full")
    drive(search, subject_of(leaving), "pool", retries=0)

    assert search.trials[0].reason == "its process ended with exit code 7, 1 times"


SCRIPT = """
    import sys, time
    from pathlib import Path
    from tests.search.test_driver import searched

    def logged(config, folder):
        unit = 0
        while True:
            unit += 1
            time.sleep(0.004)
            yield (config["x"] - 0.3) ** 2 + config["depth"] / 10 + 1 / unit

    folder, executor, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    searched(logged, executor, workers, folder=folder, resume=(folder / "study.json").is_file())
"""


def _started(folder, executor, workers):
    script = folder.parent / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(script), str(folder), executor, str(workers)]
    return subprocess.Popen(words, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)


def _killed_until_done(folder, executor, workers, kills, how=signal.SIGKILL):
    """Starts, kills after a random number of further bytes in the journal, and starts again, until it comes to its end."""
    ends = []
    while True:
        process = _started(folder, executor, workers)
        journal = folder / FILE
        limit = (journal.stat().st_size if journal.exists() else 0) + int(at_random(0, 6000))
        while process.poll() is None and len(ends) < kills:
            if journal.exists() and journal.stat().st_size >= limit:
                process.send_signal(how)
                break
            time.sleep(0.001)
        told = process.communicate()[1]
        ends.append(process.returncode)
        if process.returncode == 0:
            return ends
        assert process.returncode != 1 or how == signal.SIGTERM, told


def _same_as_undisturbed(folder, workers):
    with Search(
        SPACE, 9, total=60, sampler=mutating, budget=halving, seed=3, workers=workers, folder=folder, resume=True
    ) as search:
        assert by_trial(search) == by_trial(undisturbed(workers=workers))
        events = read(folder / FILE)[0]
        assert sum(len(event.get("records", ())) for event in events) == search.trials.spent == 60
        begun = [event["trial"] for event in events if event["event"] == "begun" and event["start"] == 0]
        assert len(begun) == len(set(begun)) == len(search.trials)


@pytest.mark.parametrize(("executor", "workers"), [("local", 1), ("pool", 2)])
def test_a_search_killed_at_any_moment_goes_on_as_if_it_had_not_been(tmp_path, executor, workers):
    ends = _killed_until_done(tmp_path / "s", executor, workers, kills=2)

    assert ends[-1] == 0
    _same_as_undisturbed(tmp_path / "s", workers)


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "workers"), [("local", 1), ("local", 3), ("pool", 2), ("pool", 4)])
@pytest.mark.parametrize("run", range(5))
def test_a_search_killed_many_times_goes_on_as_if_it_had_not_been(tmp_path, executor, workers, run):
    _killed_until_done(tmp_path / "s", executor, workers, kills=6)

    _same_as_undisturbed(tmp_path / "s", workers)


def test_a_search_that_is_terminated_closes_its_journal_and_can_be_resumed(tmp_path):
    ends = _killed_until_done(tmp_path / "s", "pool", 2, kills=1, how=signal.SIGTERM)

    assert ends[-1] == 0
    _same_as_undisturbed(tmp_path / "s", 2)


def test_a_full_disk_ends_the_search_and_loses_nothing(tmp_path, monkeypatch):
    true, left = os.write, [6000]

    def filling(number, data):
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true(number, data)

    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.search.journal.os.write", filling)
        with pytest.raises(StorageError):
            searched(curve, workers=2, folder=tmp_path / "s")

    search = searched(curve, workers=2, folder=tmp_path / "s", resume=True)

    assert by_trial(search) == by_trial(undisturbed(workers=2))


def test_a_disk_that_is_full_under_a_trial_is_not_the_trials_failure(tmp_path):
    full = [True]

    def writing(config, folder):
        for record in curve(config):
            if full[0] and config["x"] > 0.2:
                raise OSError(errno.ENOSPC, "No space left on device")
            yield record

    with pytest.raises(StorageError, match="could not write"):
        searched(writing, folder=tmp_path / "s")
    full[0] = False

    search = searched(writing, folder=tmp_path / "s", resume=True)

    assert by_trial(search) == by_trial(undisturbed(workers=1))


def test_when_the_time_is_over_what_is_trained_counts(tmp_path):
    def slow(config):
        for record in curve(config):
            time.sleep(0.05)
            yield record

    search = Search(SPACE, 9, sampler="random", budget="full", folder=tmp_path / "s", workers=2)
    because = drive(search, subject_of(slow), workers=2, seconds=0.5)
    search.close()

    assert because == "the time is over"
    assert search.trials.spent > 0
    again = Search(SPACE, 9, sampler="random", budget="full", folder=tmp_path / "s", workers=2, resume=True)
    assert list(again.trials) == list(search.trials)
    again.close()


def test_when_the_first_trials_all_fail_the_search_ends():
    def broken(config):
        raise NameError("name 'modle' is not defined")

    with pytest.raises(TrainingFailed, match="the first 10 trials all failed, the last with NameError: name 'modle'"):
        searched(broken)


def test_trials_that_fail_for_nothing_do_not_go_on_for_ever():
    begun = []

    def breaking(config):
        begun.append(config)
        if len(begun) > 5:
            raise OSError("the data are gone")
        yield from curve(config)

    with pytest.raises(
        TrainingFailed, match="the last 100 trials all failed without a unit, the last with OSError: the data"
    ):
        searched(breaking, total=10_000)
    assert len(begun) < 200


class Kept(TrainsFromScratch):
    """Leaves its state in the folder of the trial."""

    copies = True
    wants_folder = True

    def train(self, config, *, start, upto, folder, seed, copy_from):
        place = (copy_from or folder) / "state.bin"
        weight = float(place.read_text()) if start else config["x"]
        for unit in range(start + 1, upto + 1):
            weight *= 0.9
            (folder / "state.bin").write_text(repr(weight))
            (folder / "notes.txt").write_text(f"unit {unit}")
            record = {"score": abs(weight)}
            yield record | {"cause": "lr.too_high"} if config["x"] > 0.8 else record


def test_checkpoints_stay_of_the_best_and_of_those_that_may_go_on(tmp_path):
    search = searched(Kept(), folder=tmp_path / "s", keep=1)

    with_state = {int(place.parent.name) for place in tmp_path.glob("s/trials/*/state.bin")}
    done = [trial.id for trial in search.trials if trial.state == "done"]
    best = min(done, key=lambda id: (search.trials.value(id), id))
    assert len(done) > 1
    assert with_state == {best, *(trial.id for trial in search.trials if trial.state == "paused")}
    assert search.book.removed == {trial.id for trial in search.trials} - with_state
    assert len(list(tmp_path.glob("s/trials/*/notes.txt"))) == len(search.trials)  # texts stay
    assert any(trial.reason == "lr.too_high" for trial in search.trials if trial.state == "stopped")


def test_a_removal_that_was_cut_short_is_made_again(tmp_path):
    search = searched(Kept(), folder=tmp_path / "s", keep=1)
    again = tmp_path / "s" / "trials" / f"{min(search.book.removed):06d}" / "state.bin"
    again.write_text("0.5")

    searched(Kept(), folder=tmp_path / "s", keep=1, resume=True)

    assert not again.exists()


def test_a_population_needs_an_objective_with_weights():
    from tunesmith.search import Proposal

    def copying(setting):
        def proposed(trials, rng):
            copy = len(trials) - 1 if len(trials) else None
            return Proposal(
                trial=len(trials), config={"x": 0.5}, start=0 if copy is None else 1, upto=2, copy_from=copy
            )

        return proposed

    search = Search({"x": Real(0, 1)}, 3, total=9, sampler="random", budget=copying)

    with pytest.raises(DataError, match="take over the weights of trial 0"):
        drive(search, subject_of(curve_of_x))


def curve_of_x(config):
    while True:
        yield config["x"]


@pytest.mark.parametrize(("given", "said"), [({"workers": 0}, "workers is 0"), ({"timeout": 0}, "timeout is 0")])
def test_wrong_numbers_are_refused(given, said):
    with pytest.raises(DataError, match=said):
        drive(Search({"x": Real(0, 1)}, 1, total=1, sampler="random", budget="full"), subject_of(curve_of_x), **given)


def test_what_cannot_be_sent_to_another_process_is_said():
    lock = threading.Lock()

    with pytest.raises(DataError, match="cannot be sent to another process"):
        searched(lambda config: lock.locked() + 1.0, "pool")
