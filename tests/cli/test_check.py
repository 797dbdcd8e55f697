"""`tunesmith audit` and `tunesmith check`."""

import csv
import json
import sys

import numpy as np
import pytest

from tunesmith.cli import run

ADULT = "src/tunesmith/demo_data/adult_2000.csv.gz"
PROGRAM = """
import numpy as np
import torch
from torch import nn
from tunesmith import Program, Task

X = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
y = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(np.int64)


def made(width):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, width))
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    return Program(net, nn.CrossEntropyLoss(), adam, (X[:150], y[:150]), (X[150:], y[150:]), batch_size=16, epochs=30)


def sound():
    return made(2)


def narrow():
    return made(1)


task = Task("mlp", (X, y))
"""


@pytest.fixture
def said(capsys, monkeypatch):
    """Runs a command; gives its exit code and what it printed."""

    def answer(*words, width=80):
        monkeypatch.setenv("COLUMNS", str(width))
        code = run(list(words))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return answer


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with programs and a task, where the user stands."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("command", ["audit", "check"])
def test_real_data_of_a_sound_task_end_with_code_0(said, command, root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, text, errors = said(command, str(root / ADULT), "--target", "income")

    assert code == 0, text
    assert errors == ""
    assert text.startswith(f"{command} of adult_2000.csv.gz")
    assert max(map(len, text.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [80, 120])
def test_a_program_that_cannot_run_ends_with_code_1_and_says_why(said, module, width):
    code, text, _ = said("check", "--task", f"{module}:narrow", width=width)

    assert code == 1
    assert "output.wrong_width" in text or "data.label_out_of_range" in text
    assert max(map(len, text.splitlines())) <= width


def test_exit_zero_turns_the_code_off(said, module):
    assert said("check", "--task", f"{module}:narrow", "--exit-zero")[0] == 0


@pytest.mark.parametrize("what", ["sound", "task"])
def test_sound_programs_and_tasks_end_with_code_0(said, module, what):
    code, text, _ = said("check", "--task", f"{module}:{what}")

    assert code == 0, text


def test_json_is_one_object_with_the_findings(said, module):
    code, text, _ = said("check", "--task", f"{module}:narrow", "--json")

    told = json.loads(text)
    assert code == 1
    assert {"fault", "severity", "confidence", "status", "because"} <= told["findings"][0].keys()
    assert any(one["severity"] == "error" for one in told["findings"])
    assert told["failed"] == {}


def test_what_the_budget_does_not_reach_is_said(said, root):
    code, text, _ = said("check", str(root / ADULT), "--target", "income", "--seconds", "0")

    assert code == 0
    assert "not reached in 0 s" in text


def test_only_one_check_is_carried_out(said, root):
    _, text, _ = said("audit", str(root / ADULT), "--target", "income", "--only", "duplicates", "--json")

    assert list(json.loads(text)["seconds"]) == ["duplicates"]


def test_an_unknown_check_is_told_with_the_nearest(said, root):
    code, _, errors = said("audit", str(root / ADULT), "--target", "income", "--only", "duplicate")

    assert code == 2
    assert "no audit or check called 'duplicate'; did you mean 'duplicates'" in errors


def test_findings_are_written_as_tables(said, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4)).round(6).tolist()
    rows[200:220] = rows[100:120]
    file = tmp_path / "copies.csv"
    file.write_text("a,b,c,y\n" + "\n".join(",".join(map(str, row)) for row in rows))

    code, text, _ = said("audit", str(file), "--target", "y", "--export", str(tmp_path / "out"))

    tables = sorted((tmp_path / "out").glob("*-data-duplicates.csv"))
    assert code == 0
    assert tables, text
    with tables[0].open() as opened:
        found = {int(row["rows"]) for row in csv.DictReader(opened)}
    assert set(range(200, 220)) <= found


def test_findings_speak_chinese(said, module):
    _, text, _ = said("check", "--task", f"{module}:narrow", "--lang", "zh")

    assert any("\u4e00" <= letter <= "\u9fff" for letter in text)


def test_a_page_is_written_and_needs_nothing_else(said, root, tmp_path):
    page = tmp_path / "deep" / "page.html"

    code, text, _ = said("check", str(root / ADULT), "--target", "income", "--html", str(page), "--only", "runs")

    html = page.read_text()
    assert code == 0
    assert f"page: {page}" in text
    assert "What the network sees" in html
    assert "A fixed batch while it trains" in html
    assert "http" not in html.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert html.count('class="card"') == 160


def test_a_page_of_a_program_that_does_not_run_still_tells(said, module, tmp_path):
    code, _, _ = said("check", "--task", f"{module}:narrow", "--html", str(tmp_path / "page.html"))

    assert code == 1
    assert "run.crash" in (tmp_path / "page.html").read_text()


def test_bad_input_is_one_sentence(said):
    code, _, errors = said("audit", "absent.csv", "--target", "y")

    assert code == 2
    assert errors.count("\n") == 1
    assert "absent.csv" in errors
