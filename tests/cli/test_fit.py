"""From a data file to predictions, by the commands alone."""

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tunesmith.cli import run
from tunesmith.cli.fit import free, kinds_of, share_of, without

TINY = ["--set", "train.batch_size=16", "--set", "eval.bootstrap=20", "--epochs", "2"]


def tunesmith(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunesmith.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)


def write_rows(path: Path, rows: int = 120) -> None:
    """Two columns that tell the label, one that does not."""
    lines = ["width,colour,noise,kind"]
    for i in range(rows):
        kind = "big" if i % 3 else "small"
        width = (10 if kind == "big" else 2) + (i * 7 % 5) / 5
        lines.append(f"{width},{'red' if kind == 'big' else 'blue'},{i * 37 % 11},{kind}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("fit")
    write_rows(folder / "things.csv")
    return folder


@pytest.fixture(scope="module")
def fitted(place: Path) -> subprocess.CompletedProcess[str]:
    return tunesmith("fit", "things.csv", "--target", "kind", *TINY, "--json", folder=place)


@pytest.fixture
def here(place: Path, fitted: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def test_fit_prints_one_object_and_keeps_everything(place: Path, fitted: subprocess.CompletedProcess[str]) -> None:
    assert fitted.returncode == 0, fitted.stderr
    told = json.loads(fitted.stdout)
    assert told["folder"] == "runs/things-1"
    assert told["status"] == "finished"
    assert 0 <= told["scores"]["test"]["accuracy"] <= 1
    assert (place / told["report"]).is_file()
    assert "epoch 2/2" in fitted.stderr


def test_a_second_run_gets_a_folder_of_its_own(place: Path, fitted: Any) -> None:
    assert free(place / "runs", "things") == place / "runs" / "things-2"


def test_predict_gives_a_line_a_row(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["predict", "runs/things-1", "things.csv"])

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert code == 0
    assert len(rows) == 120
    assert {row["prediction"] for row in rows} <= {"big", "small"}
    assert all(float(row["p(big)"]) + float(row["p(small)"]) == pytest.approx(1, abs=1e-4) for row in rows)


def test_predict_under_json_has_the_public_shape(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["predict", "runs/things-1", "things.csv", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert set(told["classes"]) == {"big", "small"}
    assert len(told["predictions"]) == 120
    assert set(told["predictions"][0]) == {"label", "probabilities"}


def test_predict_writes_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["predict", "runs/things-1", "things.csv", "--output", "guess.csv"])

    assert code == 0
    assert "120 predictions" in capsys.readouterr().out
    assert len((here / "guess.csv").read_text(encoding="utf-8").splitlines()) == 121


def test_a_missing_column_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "narrow.csv").write_text("colour,noise\nred,1\n", encoding="utf-8")

    code = run(["predict", "runs/things-1", "narrow.csv"])

    assert code == 2
    assert "width" in capsys.readouterr().err


def test_report_names_its_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["report", "runs/things-1", "--output", "page.html", "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out) == {"file": "page.html"}
    assert "things.csv" in (here / "page.html").read_text(encoding="utf-8")


def test_clean_tells_what_would_go(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["clean", "runs", "--dry-run", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["dry_run"] is True
    assert told["runs"][0]["folder"] == "runs/things-1"


def test_a_misspelt_target_is_told_with_the_nearest(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["fit", "things.csv", "--target", "kinds", "--folder", "never", "--quiet"])

    assert code == 2
    assert "'kind'" in capsys.readouterr().err
    assert not (here / "never").exists()


def test_a_pause_goes_on_without_typing_it_all_again(place: Path) -> None:
    words = ("fit", "things.csv", "--target", "kind", *TINY, "--folder", "paused")
    paused = tunesmith(*words, "--until", "1 epoch", "--json", folder=place)

    resumed = tunesmith("fit", "--resume", "--folder", "paused", "--json", folder=place)

    assert paused.returncode == 0, paused.stderr
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 2/2" in resumed.stderr
    assert json.loads(resumed.stdout)["status"] == "finished"


def test_an_interrupted_training_is_code_130_and_tells_how_to_go_on(place: Path) -> None:
    words = ["fit", "things.csv", "--target", "kind", "--epochs", "100000", "--folder", "stopped", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "tunesmith.cli", *words], stdout=PIPE, stderr=PIPE, text=True, cwd=place
    ) as training:
        assert training.stderr is not None
        while not training.stderr.readline().startswith("epoch 2/"):
            pass
        training.send_signal(signal.SIGINT)
        out, err = training.communicate(timeout=120)

    assert training.returncode == 130
    assert json.loads(out)["status"] == "interrupted"
    assert "--resume" in err
    assert "Traceback" not in err


def test_a_task_of_ones_own_is_trained(place: Path) -> None:
    (place / "my_task.py").write_text(
        "import numpy as np\nfrom tunesmith import Task\n"
        "x = np.random.default_rng(0).normal(size=(90, 3)).astype('float32')\n"
        "def task():\n    print('building')\n    return Task(train=(x, x @ np.array([1, -2, 0.5], 'float32')))\n",
        encoding="utf-8",
    )

    done = tunesmith("fit", "--task", "my_task:task", *TINY, "--json", folder=place)

    assert done.returncode == 0, done.stderr
    assert "r2" in json.loads(done.stdout)["scores"]["test"]
    assert "building" in done.stderr


def test_a_fault_of_the_users_own_model_is_one_sentence_and_code_3(place: Path) -> None:
    (place / "bad_task.py").write_text(
        "import numpy as np, torch\nfrom tunesmith import Task\n"
        "x = np.zeros((60, 3), 'float32')\n"
        "class Net(torch.nn.Linear):\n    def forward(self, x):\n        raise RuntimeError('no such thing\\nas this')\n"
        "task = Task(model=lambda: Net(3, 2), train=(x, np.arange(60) % 2))\n",
        encoding="utf-8",
    )

    done = tunesmith("fit", "--task", "bad_task:task", *TINY, folder=place)

    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_without_a_terminal_there_are_no_control_characters(place: Path) -> None:
    done = tunesmith("fit", "things.csv", "--target", "kind", *TINY, "--folder", "plain", folder=place)

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert sum(line.startswith("epoch ") for line in done.stdout.splitlines()) == 2


def test_init_writes_a_recipe_that_fit_takes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "mine.toml", "--set", "train.epochs=1", "--set", "eval.bootstrap=0"]) == 0
    assert run(["init", "mine.toml"]) == 2
    capsys.readouterr()

    code = run(["fit", "things.csv", "--target", "kind", "--recipe", "mine.toml", "--folder", "by-recipe", "--json"])

    told = capsys.readouterr()
    assert code == 0, told.err
    assert "epoch 1/1" in told.err


def test_a_share_and_a_file_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0.3").touch()

    assert (share_of("0.2"), share_of("0.3"), share_of("test.csv"), share_of(None)) == (0.2, None, None, None)


def test_pairs_and_left_out_words() -> None:
    assert kinds_of(["a=b=number"]) == {"a=b": "number"}
    assert without(["fit", "--until", "3", "x", "--set", "a=1"], {"--until": 1}) == ["fit", "x", "--set", "a=1"]
