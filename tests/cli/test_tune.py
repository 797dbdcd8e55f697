"""`tunesmith tune` in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from sklearn import datasets

BUDGET = ("--budget", "14 epochs", "--set", "train.epochs=2", "--set", "model.width=16", "--set", "train.threads=1")


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    data = datasets.load_wine()
    place = tmp_path_factory.mktemp("wine")
    rows = [
        ",".join([*map(str, row), f"kind {label}"]) for row, label in zip(data.data.tolist(), data.target, strict=True)
    ]
    (place / "wine.csv").write_text("\n".join([",".join([*(f"c{column}" for column in range(13)), "kind"]), *rows]))
    return place


def command(*words, cwd, **about):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-m", "tunesmith.cli", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        **about,
    )


@pytest.fixture(scope="module")
def done(wine):
    return command("tune", "wine.csv", "--target", "kind", *BUDGET, cwd=wine)


def test_one_command_leads_to_a_report(done, wine):
    page = (wine / "tuned" / "wine-1" / "report.html").read_text(encoding="utf-8")

    assert done.returncode == 0, done.stderr
    assert "judge" in done.stdout
    assert "next    tunesmith predict tuned/wine-1 NEW_DATA" in done.stdout
    assert "Can I trust it?" in page
    assert "What was done, and why" in page
    assert len(page.encode()) < 3_000_000
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_predict_and_report_take_the_folder(done, wine):
    said = command("predict", "tuned/wine-1", "wine.csv", "--json", cwd=wine)
    page = command("report", "tuned/wine-1", "--json", cwd=wine)

    assert len(json.loads(said.stdout)["predictions"]) == 178
    assert json.loads(page.stdout)["file"].endswith("report.html")


def test_json_is_one_object(wine):
    done = command("tune", "wine.csv", "--target", "kind", *BUDGET, "--folder", "j", "--json", cwd=wine)
    told = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert set(told["scores"]["test"]) > {"accuracy", "log_loss"}
    assert told["folder"] == "j"
    assert {"constant answer", "gradient boosting", "handed over"} <= set(told["beside"])
    assert told["decisions"][0]["stage"] == "look"


def test_a_dry_run_shows_the_plan_and_leaves_nothing(wine):
    done = command("tune", "wine.csv", "--target", "kind", "--budget", "10m", "--dry-run", "--folder", "dry", cwd=wine)

    assert done.returncode == 0
    assert "budget  600 seconds" in done.stdout
    assert " judge      once on the test rows" in done.stdout
    assert not (wine / "dry").exists()


def test_resume_needs_nothing_but_the_folder_and_changes_nothing_that_is_done(done, wine):
    before = (wine / "tuned" / "wine-1" / "steps.jsonl").read_text()

    again = command("tune", "--folder", "tuned/wine-1", "--resume", cwd=wine)

    assert again.returncode == 0, again.stderr
    assert (wine / "tuned" / "wine-1" / "steps.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tune", "wine.csv", "--target", "kindd"), "kindd"),
        (("tune", "wine.csv", "--target", "kind", "--budget", "soon"), "budget = 'soon'"),
        (("tune",), "no data were given"),
        (("tune", "--folder", "nowhere", "--resume"), "nowhere"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(words, said, wine):
    done = command(*words, cwd=wine)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_killed_at_random_moments_it_decides_the_same_and_trains_nothing_twice(done, wine):
    import random

    drawn, kills = random.Random(0), 0
    words = ["tune", "wine.csv", "--target", "kind", *BUDGET, "--folder", "killed"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(200):
        resume = ["--resume"] if (wine / "killed" / "tune.json").is_file() else []
        process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.cli", *words, *resume],
            cwd=wine,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait = drawn.uniform(0.8, 4) if kills < 20 else 600
        begun = time.monotonic()
        while process.poll() is None and time.monotonic() < begun + wait:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    steps = [json.loads(line) for line in (wine / "killed" / "steps.jsonl").read_text().splitlines()]
    finished = [one for one in steps if "step" in one]
    whole = wine / "tuned" / "wine-1"

    assert process.returncode == 0
    assert kills >= 5
    assert len({one["step"] for one in finished}) == len(finished)
    assert sum(one["epochs"] for one in finished) <= 14
    assert json.loads((wine / "killed" / "scores.json").read_text()) == json.loads((whole / "scores.json").read_text())
    assert titles(wine / "killed") == titles(whole)


def titles(folder):
    return [one["title"] for one in json.loads((folder / "decisions.json").read_text())["decisions"]]
