"""`tunesmith rate` and `tunesmith batch`: what they print, what they exit with, and their help."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunesmith.cli import run
from tunesmith.cli.app import app

DATA = Path(__file__).parents[2] / "src" / "tunesmith" / "demo_data" / "adult_2000.csv.gz"
SHORT = ["--target", "income", "--epochs", "2", "--seconds", "6"]


@pytest.mark.parametrize("command", ["rate", "batch"])
@pytest.mark.parametrize("width", [80, 120])
def test_the_help_fits(command: str, width: int) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": str(width)}, terminal_width=width)

    assert result.exit_code == 0
    assert {"--json", "--debug", "--task"} <= set(result.output.split())
    assert max(len(line) for line in result.output.splitlines()) <= width


def test_a_rate_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["rate", str(DATA), *SHORT, "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["lowest"] <= told["rate"] <= told["highest"]
    assert told["change"] == {"optim.lr": pytest.approx(told["rate"], rel=1e-2)}


def test_a_rate_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["rate", str(DATA), *SHORT, "--lang", "zh"])

    printed = capsys.readouterr().out
    assert code == 0
    assert printed.startswith("学习率")
    assert "log10 of the rate" in printed
    assert "--set optim.lr=" in printed


def test_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["batch", str(DATA), *SHORT, "--no-compare", "--most", "64"])

    printed = capsys.readouterr().out
    assert code == 0
    assert printed.startswith("64 rows fit at once")
    assert "knee" in printed
    assert "--set train.batch_size=" in printed


def test_a_program_in_which_nothing_trains_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
import torch
from tunesmith import Program

model = torch.nn.Linear(4, 2)
data = torch.randn(64, 4), torch.zeros(64, dtype=torch.long)


def loss(outputs, target):
    return torch.nn.functional.cross_entropy(outputs, target) * float("nan")


program = Program(model, loss, torch.optim.SGD(model.parameters(), lr=0.1), data, batch_size=8, epochs=2)
"""
    (tmp_path / "nothing_trains.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    code = run(["rate", "--task", "nothing_trains:program", "--seconds", "10"])

    assert code == 3
    assert "no rate trains" in capsys.readouterr().out


def test_wrong_use_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["batch", str(DATA), "--target", "income", "--margin", "2"])

    assert code == 2
    assert "expected the share of the rows to leave free" in capsys.readouterr().err
