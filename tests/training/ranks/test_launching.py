"""`tunesmith fit --nproc`: one command, several processes; what each of them may do to the others."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.test_resume import same
from tunesmith.records import DeviceError, Recipe, RecipeError, TrainingFailed, TunesmithError, revise
from tunesmith.runs import Run
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.ranks import joining, launching
from tunesmith.training.ranks.dividing import bounds
from tunesmith.training.ranks.place import Place, place

TORCHRUN = {"RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "n1", "MASTER_PORT": "29500"}
SLURM = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "gpu[07-08]"}
SHORT = ["--epochs", "2", "--set", "train.batch_size=16", "--set", "eval.bootstrap=0", "--set", "model.width=16"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Place()),
        ({"WORLD_SIZE": "1", "RANK": "0"}, Place()),
        (TORCHRUN, Place(rank=1, local=0, world=4, meeting="env://")),
        (SLURM | {"SLURM_JOB_ID": "7"}, Place(rank=5, local=1, world=8, meeting="tcp://gpu07:15007")),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, Place()),  # a batch script is one process
    ],
)
def test_a_place_is_what_the_launcher_says(variables: dict[str, str], expected: Place) -> None:
    assert place(variables) == expected


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "2"}, "RANK is not set"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR and MASTER_PORT are not set"),
        (TORCHRUN | {"RANK": "4"}, "RANK is 4 and WORLD_SIZE 4; ranks count from 0 to 3"),
        (TORCHRUN | {"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        (SLURM | {"SLURM_STEP_NODELIST": ""}, "set MASTER_ADDR"),
    ],
)
def test_variables_that_do_not_fit_are_told(variables: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        place(variables)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("device", "words"),
    [("cuda", "rank 1 is number 1 on this machine, which has 1 GPUs"), ("cuda:0", "2 ranks: they would share it")],
)
def test_a_rank_needs_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch, device: str, words: str) -> None:
    monkeypatch.setattr(joining, "device_name", lambda asked: asked)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    recipe = revise(Recipe(), {"train.device": device})

    with pytest.raises(DeviceError) as caught:
        joining.device_of(recipe, Place(rank=1, local=1, world=2))

    assert words in str(caught.value)


@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_every_row_is_of_one_rank(world: int, least: int) -> None:
    for rows in range(1, 30):
        parts = [range(*bounds(rows, rank, world, least)) for rank in range(world)]

        assert [row for part in parts for row in part] == list(range(rows))
        assert all(len(part) >= min(least, rows) or not part for part in parts)


@pytest.mark.parametrize(
    ("codes", "dead", "error", "words"),
    [
        ((launching.LOST, -9), 1, TrainingFailed, "rank 1 of 2 was ended by SIGKILL, so all were stopped"),
        ((launching.LOST, 2), None, TunesmithError, "rank 1 of 2: no such column"),
        ((launching.LOST, launching.LOST), None, TrainingFailed, "the 2 ranks lost each other"),
    ],
)
def test_one_sentence_says_what_ended_the_ranks(
    tmp_path: Path, codes: tuple[int, int], dead: int | None, error: type[TunesmithError], words: str
) -> None:
    (tmp_path / "1.txt").write_text("note: a\nerror: no such column\n")

    with pytest.raises(error) as caught:
        launching._told(codes, dead, tmp_path)

    assert words in str(caught.value)
    assert caught.value.exit_code == (2 if 2 in codes else 3)


def test_what_the_first_rank_said_stands_alone(tmp_path: Path) -> None:
    assert launching._told((130, 130), None, tmp_path) == 130
    assert launching._told((2, launching.LOST), None, tmp_path) == 2
    assert launching._told((0, 0), None, tmp_path) == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(140, 4))
    lines = [f"{','.join(f'{value:.5f}' for value in row)},{int(row[0] + row[1] > 0)}" for row in rows]
    file = tmp_path_factory.mktemp("data") / "rows.csv"
    file.write_text("\n".join(["a,b,c,d,y", *lines]) + "\n")
    return file


def command(*words: str, **variables: str) -> "subprocess.Popen[str]":
    kept = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
    environment = kept | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"} | variables
    line = [sys.executable, "-m", "tunesmith.cli", *words]
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_one_command_trains_on_two_ranks_and_answers_once(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "run"
    running = command("fit", str(data), "--target", "y", "--folder", str(folder), "--nproc", "2", "--json", *SHORT)

    output, said = running.communicate(timeout=300)

    assert running.returncode == 0, said
    assert json.loads(output)["folder"] == str(folder)
    assert output.count("\n") == 1
    assert Run(folder).recipe.run.world_size == 2
    assert any("2 ranks divide" in decision["because"] for decision in Run(folder).decisions)


def test_a_mistake_is_said_once(tmp_path: Path, data: Path) -> None:
    running = command("fit", str(data), "--target", "nobody", "--folder", str(tmp_path / "run"), "--nproc", "2")

    _, said = running.communicate(timeout=300)

    assert running.returncode == 2
    assert said.count("error:") == 1
    assert "nobody" in said


def test_a_taken_port_is_told(tmp_path: Path, data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        running = command("fit", str(data), "--target", "y", "--folder", str(tmp_path / "run"), "--quiet", **place)

        _, said = running.communicate(timeout=300)

    assert running.returncode == 2
    assert "the port where the ranks were to meet is taken" in said
    assert "set MASTER_PORT to a free one" in said
    assert said.count("error:") == 1


def ranks_of(launcher: int) -> list[int]:
    """The processes a launcher has started, the first rank first."""
    found = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(number) for number in found]


LONG = [
    "--epochs",
    "40",
    *SHORT[2:],
    "--set",
    "run.save_every=7",
    "--set",
    "train.ema=0.9",
    "--set",
    "model.dropout=0.2",
]


def final(folder: Path) -> Any:
    return Checkpoints(folder / "checkpoints").read("last")[0]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the ranks are found in /proc")
def test_a_rank_that_is_killed_stops_all_and_nothing_is_lost(tmp_path: Path, data: Path) -> None:
    """At ten moments, from the start of the processes on, one rank or the other; the run ends as if nothing had happened."""
    about = ["fit", str(data), "--target", "y", "--quiet", *LONG, "--nproc", "2"]
    straight = command(*about, "--folder", str(tmp_path / "straight"))
    straight.communicate(timeout=600)
    moments = random.Random(0)
    folder = tmp_path / "run"
    kills = 0

    for left in range(10, -1, -1):
        again = ["--resume"] if (folder / "run.json").exists() else []
        running = command(*about, "--folder", str(folder), *again)
        if left:
            until = time.monotonic() + 60
            while left < 9 and not (folder / "run.json").exists() and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.5, 8.0))
            if running.poll() is None and len(ranks := ranks_of(running.pid)) == 2:
                os.kill(ranks[left % 2], signal.SIGKILL)
                kills += 1
                began = time.monotonic()
                _, said = running.communicate(timeout=120)
                assert time.monotonic() - began < 60
                assert running.returncode == 3, said
                assert said.count("error:") == 1
                assert f"rank {left % 2} of 2 was ended by SIGKILL" in said
                continue
        _, said = running.communicate(timeout=600)
        assert running.returncode == 0, said

    assert kills >= 5
    ours, theirs = final(folder), final(tmp_path / "straight")
    for part in ("model", "optimizer", "average", "step"):
        assert same(ours[part], theirs[part]), part


@pytest.mark.slow
def test_ctrl_c_stops_all_ranks_after_one_update_and_saves(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "run"
    running = command("fit", str(data), "--target", "y", "--quiet", *LONG, "--nproc", "2", "--folder", str(folder))
    while not (folder / "checkpoints" / "last.json").exists() and running.poll() is None:
        time.sleep(0.05)

    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)

    assert running.returncode == 130, said
    assert Run(folder).info["ending"] == "interrupted"
    assert final(folder)["step"] > 0
