"""What is said when a command fails."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.cli import answers, failing, run
from tunesmith.records import DeviceError, StorageError, TrainingFailed, UnknownName


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fitt"], "did you mean 'fit'"),
        (["fit", "a.csv", "--taget", "y"], "did you mean --target?"),
        (["predict"], "missing argument"),
        (["fit", "a.csv", "--epochs", "many"], "valid integer"),
        (["explain", "optim.lrr"], "'optim.lr'"),
        (["explain", "loss.spik"], "'loss.spike'"),
        (["fit"], "no data were given"),
        (["fit", "a.csv", "--set", "optim.lrr=1"], "'optim.lr'"),
        (["fit", "a.csv", "--set", "optim.lr"], "--set optim.lr"),
        (["fit", "a.csv", "--column", "zip"], "--column 'zip'"),
        (["fit", "a.csv", "--task", "m:o"], "both data"),
        (["fit", "--task", "no_such_module:task"], "no module called 'no_such_module'"),
        (["fit", "--task", "json:lods"], "'loads'"),
        (["fit", "--task", "nocolon"], "expected module:object"),
        (["fit", "--resume", "a.csv"], "--folder RUN"),
        (["report", "no-such-run"], "no run folder no-such-run"),
        (["clean", "no-such-run"], "no folder no-such-run"),
        (["init", "recipe.yaml"], ".toml"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code = run(arguments)

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said.lower() in err.lower()
    assert "Traceback" not in err


def test_under_json_an_error_is_one_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["explain", "loss.spik", "--json"])

    out = capsys.readouterr().out
    assert code == 2
    assert json.loads(out) == {"error": json.loads(out)["error"], "kind": "UnknownName"}
    assert "loss.spike" in json.loads(out)["error"]


def test_an_error_of_use_is_an_object_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["fit", "--json", "--taget", "y"])

    out = capsys.readouterr().out
    assert code == 2
    assert "--target" in json.loads(out)["error"]


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    run(["explain", "loss.spik", "--debug"])

    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownName("no such thing"), 2),
        (TrainingFailed("the loss became nan"), 3),
        (DeviceError("cuda:1 was lost"), 3),
        (StorageError("disk full"), 3),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.csv"), 2),
        (MemoryError(), 3),
        (RuntimeError("mat1 and mat2\nshapes cannot be multiplied"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_code_and_one_line(error: BaseException, code: int) -> None:
    sentence, given = failing.explained(error)

    assert given == code
    assert sentence
    assert "\n" not in sentence


def test_what_a_library_prints_does_not_reach_json_output(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import os\nprint('from python')\nos.write(1, b'from below\\n')\nraise ValueError('broken')\n", encoding="utf-8"
    )

    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.cli", "fit", "--task", "noisy:task", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert done.returncode == 3
    assert "ValueError" in json.loads(done.stdout)["error"]
    assert "from python" in done.stderr
    assert "from below" in done.stderr


def test_numbers_that_are_not_finite_become_null() -> None:
    text = answers.as_json({"scores": {"loss": float("nan"), "top": float("inf")}, "rows": [1.5]})

    assert json.loads(text) == {"scores": {"loss": None, "top": None}, "rows": [1.5]}


def test_a_reader_who_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m tunesmith.cli explain | head -1", shell=True, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("Faults")
    assert done.stderr == ""
