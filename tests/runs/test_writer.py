import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records import Evidence, Finding, Recipe, Remedy, RunError, Safety, StorageError
from tunesmith.runs import MemoryWriter, Run

FINDING = Finding(
    fault="loss.nonfinite",
    severity="error",
    message="loss.nonfinite",
    values={"value": "nan", "step": 7, "epoch": 1, "last": 2.5},
    evidence=(Evidence(name="loss", value=float("inf"), threshold=1.0, source="own", step=7, where="fc"),),
    remedies=(Remedy(title="lower the rate", safety=Safety.RISKY, change={"optim.lr": 1e-4}),),
    confidence=0.7,
    status="confirmed",
    subject={"layers": ["fc"]},
    ruled_out=("x.y",),
)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "r", recipe=Recipe())


def test_a_finding_comes_back_equal(run):
    with run.writer() as writer:
        writer.begin_attempt()
        writer.finding(FINDING, 7)

    (found,) = run.findings

    assert found == FINDING
    assert found.because == FINDING.because
    assert run.history("finding")[0]["step"] == 7


def test_points_are_held_until_a_flush_and_then_seen_by_others(run):
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", [1, 2], [0.5, 0.25])
        assert run.signals.names() == []

        writer.flush()

        assert run.signals.read("loss")[1].tolist() == [0.5, 0.25]


def test_a_flush_comes_by_itself_about_once_a_second(run):
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", 1, 0.5)
        time.sleep(1.05)
        writer.add("loss", 2, 0.5)

        assert len(run.signals.read("loss")[0]) == 2


def test_what_was_added_may_be_overwritten_by_its_owner(run):
    with run.writer() as writer:
        writer.begin_attempt()
        values = np.ones(3)
        writer.add("loss", [1, 2, 3], values)
        values[:] = 0

    assert run.signals.read("loss")[1].tolist() == [1.0, 1.0, 1.0]


def test_as_many_values_as_steps(run):
    with run.writer() as writer:
        writer.begin_attempt()
        with pytest.raises(RunError, match="'loss' came with 2 steps and 3 values"):
            writer.add("loss", [1, 2], [1, 2, 3])


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")])
def test_an_exception_leaves_its_status_and_the_points(run, error, status):
    with pytest.raises(error), run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", 1, 0.5)
        raise error("stop")

    assert run.status == status
    assert run.signals.read("loss")[0].tolist() == [1]


def test_a_status_that_was_set_stays(run):
    with pytest.raises(ValueError, match="late"), run.writer() as writer:
        writer.set_status("finished", best_step=12)
        raise ValueError("late")

    assert run.status == "finished"
    assert run.info["best_step"] == 12


def test_a_block_left_without_a_word_is_interrupted(run):
    with run.writer():
        assert run.status == "running"

    assert run.status == "interrupted"


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_files_of_a_run(run, where):
    memory = MemoryWriter()
    with memory if where == "memory" else run.writer() as writer:
        writer.write_json("scores", {"test": {"accuracy": np.float32(0.5)}})
        writer.write_json("data/columns.json", [{"name": "age"}])
        writer.write_json("model.json", {"layers": [{"name": "fc1"}]})
        writer.write_arrays("predictions/test", rows=np.arange(3), target=np.array([1, 0, 1]))
        writer.traceback("Traceback …")
    reader = memory if where == "memory" else run

    assert reader.scores == {"test": {"accuracy": 0.5}}
    assert reader.columns == [{"name": "age"}]
    assert reader.layers == [{"name": "fc1"}]
    assert reader.predictions("test")["target"].tolist() == [1, 0, 1]
    with pytest.raises(RunError, match="no predictions of part 'tset'; did you mean 'test'"):
        reader.predictions("tset")


@pytest.mark.parametrize("name", ["../x.json", "/tmp/x.json", "", "a/../../b"])
def test_a_file_lies_inside_the_folder(run, name):
    with run.writer() as writer, pytest.raises(RunError, match="relative name inside"):
        writer.write_json(name, {})


WRITE_UNTIL_FULL = """
import sys
import numpy as np
from tunesmith.records import StorageError
from tunesmith.runs import Run
run = Run(sys.argv[1])
flushed = 0
try:
    with run.writer() as writer:
        writer.begin_attempt()
        while True:
            writer.add("loss", np.arange(flushed, flushed + 500), np.random.default_rng(flushed).normal(size=500))
            writer.flush()
            flushed += 500
            writer.write_json("note.json", {"flushed": flushed})
except StorageError as error:
    print(flushed, str(error), error.__notes__ if hasattr(error, "__notes__") else "", sep="|")
"""


def check_full(run, printed):
    flushed, sentence, _ = printed.strip().split("|")
    assert "kept" in sentence
    assert "resume" in sentence
    steps, values = run.signals.read("loss")
    assert int(flushed) <= len(steps) <= int(flushed) + 500
    assert steps.tolist() == list(range(len(steps)))
    for start in range(0, len(steps), 500):
        assert np.array_equal(values[start : start + 500], np.random.default_rng(start).normal(size=500))
    assert json.loads(run.path("note.json").read_text())["flushed"] in (int(flushed), int(flushed) - 500)
    assert run.status in ("failed", "interrupted")
    return int(flushed)


def test_a_disk_that_fills_up_loses_nothing_that_was_flushed(run):
    """A limit on the size of a file stands for the full disk: the writes fail in the same places."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", WRITE_UNTIL_FULL, str(run.folder)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=True,
    )

    flushed = check_full(run, done.stdout)

    assert flushed > 5000
    with run.writer() as writer:
        writer.begin_attempt(0, 0)
        writer.add("loss", [0], [1.0])
    assert run.signals.read("loss")[1].tolist() == [1.0]


def test_a_disk_that_is_full_loses_nothing_that_was_flushed(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs the rights of an administrator")
    try:
        run = Run.create(disk / "r", recipe=Recipe())
        done = subprocess.run(
            [sys.executable, "-c", WRITE_UNTIL_FULL, str(run.folder)], capture_output=True, text=True, check=True
        )

        flushed = check_full(run, done.stdout)

        assert "no space left" in done.stdout or "full" in done.stdout
        assert flushed > 5000
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_during_another_error_does_not_hide_it(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="first") as caught, run.writer():
        monkeypatch.setattr(os, "replace", full)
        raise ValueError("first")

    assert "no space left" in caught.value.__notes__[0]


def test_points_that_could_not_be_flushed_are_held_for_the_next_try(run, monkeypatch):
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", [1], [0.5])
        broken = monkeypatch.context()
        with broken as patch:
            patch.setattr(
                writer._log, "_chunk", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
            )
            with pytest.raises(StorageError, match="what was flushed before is kept"):
                writer.flush()

        writer.flush()

    assert run.signals.read("loss")[1].tolist() == [0.5]


def test_memory_reads_back_without_a_flush():
    writer = MemoryWriter(info={"title": "x"})
    with writer:
        writer.begin_attempt()
        writer.add("loss", [1, 2], [3.0, 4.0])

        assert writer.signals.read("loss")[1].tolist() == [3.0, 4.0]
    writer.set_status("finished", best_step=2)
    assert writer.status == "finished"
    assert writer.info["best_step"] == 2
    assert writer.recipe == Recipe()


def test_no_torch_is_imported():
    script = "import sys, tunesmith.runs; print([m for m in ('torch', 'polars', 'sklearn', 'matplotlib') if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )

    assert done.stdout.strip() == "[]"
