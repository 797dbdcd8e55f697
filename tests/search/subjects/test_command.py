"""A program of any language as the thing that is searched. Shell scripts: they start in no time."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tunesmith.records import DataError, TrainingFailed
from tunesmith.search import Real
from tunesmith.search.ask import Search
from tunesmith.search.driver import drive
from tunesmith.search.subjects import Command


def trained(script, folder, start=0, upto=2, **given):
    subject = Command(["sh", "-c", script])
    return list(subject.train({"x": 0.5}, start=start, upto=upto, folder=folder, seed=7, **{"copy_from": None} | given))


def test_it_is_asked_in_one_line_and_answers_a_line_a_unit(tmp_path):
    script = 'read line; echo "$line" > asked; echo \'{"score": 0.5, "loss": 2}\'; echo \'{"score": 0.25}\''

    records = trained(f"cd {shlex.quote(str(tmp_path))}; {script}", tmp_path, start=3, upto=5, copy_from=tmp_path / "7")

    assert records == [{"score": 0.5, "loss": 2}, {"score": 0.25}]
    assert json.loads((tmp_path / "asked").read_text()) == {
        "config": {"x": 0.5},
        "start": 3,
        "upto": 5,
        "folder": str(tmp_path),
        "seed": 7,
        "copy_from": str(tmp_path / "7"),
    }


def test_what_else_it_prints_goes_to_the_log(tmp_path):
    script = "echo loading; echo warn >&2; echo '{\"score\": 1}'; echo '{\"score\": 2}'; echo done"

    assert [record["score"] for record in trained(script, tmp_path)] == [1.0, 2.0]
    assert set((tmp_path / "command.log").read_text().split()) == {"loading", "warn", "done"}


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("echo out of memory >&2; exit 3", TrainingFailed, "exit code 3: out of memory"),
        ("echo '{\"score\": 1}'; echo boom >&2; exit 1", TrainingFailed, "exit code 1: boom"),
        ("echo '{\"score\": 1}'; echo '{\"score\": 1}'; exit 4", TrainingFailed, "exit code 4"),
        ("echo '{score: 1}'", DataError, "which is no JSON"),
        ("echo '{\"loss\": 1}'", DataError, "expected a 'score'"),
        ("for i in 1 2 3; do echo '{\"score\": 1}'; done", DataError, "more records than it was asked for"),
    ],
)
def test_what_goes_wrong_is_said(tmp_path, script, error, said):
    with pytest.raises(error, match=said):
        trained(script, tmp_path)


def test_a_program_that_does_not_read_is_no_error(tmp_path):
    assert trained("exec <&-; echo '{\"score\": 1}'; echo '{\"score\": 2}'", tmp_path)


def test_a_program_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="'no-such-program' cannot be started: No such file"):
        list(Command("no-such-program").train({}, start=0, upto=1, folder=tmp_path, seed=0, copy_from=None))
    with pytest.raises(DataError, match="the command is empty"):
        Command("  ")


def test_a_program_left_alone_is_ended(tmp_path):
    script = f"echo $$ > {shlex.quote(str(tmp_path))}/pid; echo '{{\"score\": 1}}'; exec sleep 600"
    units = Command(["sh", "-c", script]).train({}, start=0, upto=2, folder=tmp_path, seed=0, copy_from=None)
    next(units)

    units.close()

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_a_program_ends_with_the_search_that_is_killed_though_it_prints_nothing(tmp_path):
    script = f"sleep 600 & echo $$ $! > {shlex.quote(str(tmp_path))}/pids; echo '{{\"score\": 1}}'; wait"
    search = f"""
import os, pathlib, signal
from tunesmith.search.subjects import Command
units = Command(["sh", "-c", {script!r}]).train(
    {{}}, start=0, upto=2, folder=pathlib.Path({str(tmp_path)!r}), seed=0, copy_from=None)
next(units)
os.kill(os.getpid(), signal.SIGKILL)
"""

    ended = subprocess.run([sys.executable, "-c", search], check=False)

    assert ended.returncode == -signal.SIGKILL
    for pid in (tmp_path / "pids").read_text().split():
        assert _gone(int(pid))


def _gone(pid, patience=400):
    """Within four seconds, that a kernel needs at most; one that nobody has waited for yet is gone too."""
    for _ in range(patience):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        with suppress(FileNotFoundError, ProcessLookupError):
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        time.sleep(0.01)
    return False


def test_a_search_over_a_program_goes_on_from_what_it_left(tmp_path):
    script = """
        read line
        start=$(echo "$line" | sed 's/.*"start": \\([0-9]*\\).*/\\1/')
        upto=$(echo "$line" | sed 's/.*"upto": \\([0-9]*\\).*/\\1/')
        folder=$(echo "$line" | sed 's/.*"folder": "\\([^"]*\\)".*/\\1/')
        test $start -eq 0 || test "$(cat $folder/reached.bin)" = $start || exit 9
        while test $start -lt $upto; do start=$((start + 1)); echo $start > $folder/reached.bin; echo "{\\"score\\": $start}"; done
    """

    def in_two(setting):
        from tunesmith.search import Proposal

        def proposed(trials, rng):
            for trial in trials:
                if trial.state == "paused":
                    return Proposal(trial=trial.id, config=trial.change, start=len(trial.records), upto=4)
            return Proposal(trial=len(trials), config={"x": float(rng.uniform())}, upto=1)

        return proposed

    with Search({"x": Real(0, 1)}, 4, total=8, sampler="random", budget=in_two, folder=tmp_path / "s") as search:
        drive(search, Command(["sh", "-c", script]))

    assert [[record["score"] for record in trial.records] for trial in search.trials] == [[1.0, 2.0, 3.0, 4.0]] * 2
    assert [trial.state for trial in search.trials] == ["done", "done"]
