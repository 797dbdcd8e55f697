"""`tunesmith tune --program` in a process of its own, and killed at random moments."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

MINE = """
import torch
from sklearn import datasets
from torch import nn
from tunesmith import Program

data = datasets.load_wine()
drawn = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
inputs = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0), dtype=torch.float32)[drawn]
target = torch.tensor(data.target)[drawn]


def program():
    torch.manual_seed(0)
    return unseeded()


def unseeded():
    net = nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 3))  # other weights each time
    optimizer = torch.optim.SGD(net.parameters(), lr=0.003)
    parts = {"val": (inputs[90:140], target[90:140]), "test": (inputs[140:], target[140:])}
    return Program(net, nn.CrossEntropyLoss(), optimizer, (inputs[:90], target[:90]), batch_size=16, epochs=3, **parts)
"""
WORDS = ("tune", "--program", "mine:program", "--budget", "60 epochs")
UNSEEDED = ("tune", "--program", "mine:unseeded", "--budget", "30 epochs")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    found = tmp_path_factory.mktemp("program")
    (found / "mine.py").write_text(MINE)
    return found


def command(*words, cwd):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    started = [sys.executable, "-m", "tunesmith.cli", *words]
    return subprocess.run(started, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def done(place):
    return command(*WORDS, "--folder", "whole", cwd=place)


def test_one_command_leads_to_the_lines_to_write_and_a_report(done, place):
    page = (place / "whole" / "report.html").read_text(encoding="utf-8")

    assert done.returncode == 0, done.stderr
    assert "next    write into the program:" in done.stdout
    assert "  lr = " in done.stdout
    assert "What to change in the program" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_resume_needs_nothing_but_the_folder_and_gives_one_json_object(done, place):
    before = (place / "whole" / "steps.jsonl").read_text()

    again = command("tune", "--folder", "whole", "--resume", "--json", cwd=place)
    told = json.loads(again.stdout)

    assert (place / "whole" / "steps.jsonl").read_text() == before
    assert set(told["beside"]) == {"handed over", "program as it is", "constant answer"}
    assert any(line.startswith("lr = ") for line in told["lines"])
    assert told["scores"]["test"]["accuracy"] > told["beside"]["program as it is"]


def test_a_dry_run_shows_the_plan_and_leaves_nothing(place):
    done = command(*WORDS, "--dry-run", "--folder", "dry", cwd=place)

    assert done.returncode == 0, done.stderr
    assert "metric  accuracy" in done.stdout
    assert "3 plain      train it as it is, on a copy" in done.stdout
    assert not (place / "dry").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*WORDS, "--set", "optim.lr=1"), "--set came with a program"),
        (("tune", "data.csv", "--program", "mine:program"), "DATA came with a program"),
        (("tune", "--program", "mine:programs"), "mine has no 'programs'"),
        (("predict", "whole", "data.csv"), "is the tuning of a program"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(words, said, done, place):
    found = command(*words, cwd=place)

    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.slow
def test_killed_at_random_moments_it_decides_the_same_and_trains_nothing_twice(place):
    drawn, kills = random.Random(0), 0
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(200):
        resume = ["--resume"] if (place / "killed" / "start" / "last.json").is_file() else []
        process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.cli", *UNSEEDED, "--folder", "killed", *resume],
            cwd=place,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait = drawn.uniform(4, 9) if kills < 12 else 600
        begun = time.monotonic()
        while process.poll() is None and time.monotonic() < begun + wait:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    whole = place / "straight"
    whole.mkdir()
    shutil.copytree(place / "killed" / "start", whole / "start")
    shutil.copy(place / "killed" / "tune.json", whole / "tune.json")
    straight = command(*UNSEEDED, "--folder", "straight", "--resume", cwd=place)
    steps = [json.loads(line) for line in (place / "killed" / "steps.jsonl").read_text().splitlines()]
    finished = [one for one in steps if "step" in one]

    assert process.returncode == straight.returncode == 0
    assert kills >= 3
    assert len({one["step"] for one in finished}) == len(finished)
    assert sum(one["epochs"] for one in finished) <= 30
    assert json.loads((place / "killed" / "scores.json").read_text()) == json.loads((whole / "scores.json").read_text())
    assert titles(place / "killed") == titles(whole)


def titles(folder):
    return [one["title"] for one in json.loads((folder / "decisions.json").read_text())["decisions"]]
