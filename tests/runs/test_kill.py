"""A writer killed at any moment leaves a consistent beginning of what it wrote, and the run goes on from there."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest

from tunesmith.records import Recipe
from tunesmith.runs import Run

WRITE = """
import sys
import numpy as np
from tunesmith.runs import Run
first, mark, told = int(sys.argv[2]), int(sys.argv[3]), open(sys.argv[4], "a", buffering=1)
with Run(sys.argv[1]).writer() as writer:
    attempt = writer.begin_attempt(first, mark)
    print("ready", flush=True)
    step = first
    while True:
        size = 1 + (step * 31 + 7) % 397
        steps = np.arange(step, step + size)
        for name in ("loss", "lr", "grad_norm"):
            writer.add(name, steps, np.sin(steps) + attempt)
        step += size
        writer.flush()
        told.write(f"flushed {step}\\n")
        if size % 5 == 0:
            writer.evaluation({"step": step})
            writer.write_json("scores.json", {"step": step, "filler": list(range(size))})
        if size % 3:
            told.write(f"marked {step} {writer.mark()}\\n")
"""


def test_twenty_kills_lose_nothing_that_was_flushed(tmp_path):
    run = Run.create(tmp_path / "r", recipe=Recipe())
    rng = random.Random(0)
    told = tmp_path / "told"
    first = mark = flushed = 0
    for _ in range(20):
        arguments = [str(run.folder), str(first), str(mark), str(told)]
        process = subprocess.Popen([sys.executable, "-c", WRITE, *arguments], stdout=subprocess.PIPE)
        with process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.02 + rng.random() * 0.25)
            try:
                if rng.random() < 0.5:
                    check(run, 0, writing=True)
            finally:
                process.kill()
        for line in told.read_text().splitlines():
            words = line.split()
            flushed = int(words[1])
            if words[0] == "marked":
                first, mark = int(words[1]), int(words[2])
        told.write_text("")
        check(run, flushed)
        flushed = first

    assert first > 0
    assert len(run.attempts) == 20


def check(run, flushed, writing=False):
    lengths = []
    for name, _ in run.signals.names():
        steps, values = run.signals.read(name)
        assert np.array_equal(steps, np.arange(len(steps)))
        by_attempt = np.rint(values - np.sin(steps))
        assert np.abs(values - np.sin(steps) - by_attempt).max(initial=0) < 1e-9
        assert (np.diff(by_attempt) >= 0).all()
        high = run.signals.curve(name, points=20, last=len(steps) - 1).high
        assert high.max(initial=-9) == values.max(initial=-9)
        lengths.append(len(steps))
    assert writing or len(set(lengths)) <= 1
    assert min(lengths, default=0) >= flushed
    rows = [row["step"] for row in run.evaluations]
    assert rows == sorted(set(rows))
    assert run.scores is None or len(run.scores["filler"]) == run.scores["filler"][-1] + 1


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.05])
def test_a_creation_killed_at_any_moment_can_be_repeated(tmp_path, seconds):
    script = "import sys; from tunesmith.records import Recipe; from tunesmith.runs import Run\n"
    script += "print('go', flush=True); Run.create(sys.argv[1], recipe=Recipe())"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "r")], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()

    run = Run(tmp_path / "r") if (tmp_path / "r" / "run.json").exists() else Run.create(tmp_path / "r", recipe=Recipe())

    assert run.recipe == Recipe()
