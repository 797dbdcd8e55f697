"""A run that was killed and resumed is the run that was not: every tensor, every signal."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import tunesmith as ts
from tests.training import kill_target
from tunesmith.records import CheckpointError, DataError, RecipeError
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run
from tunesmith.runs.quantities import QUANTITIES
from tunesmith.training.checkpoint import Checkpoints

TARGET = Path(kill_target.__file__)


def looked(name: str, where: str) -> bool:
    """Whether a signal is one of the watch, for which the clock decides when it looks."""
    return name in QUANTITIES and (name not in ("loss", "lr", "grad_norm", "score") or bool(where))


def final(folder: Path) -> Any:
    """Everything the run left, but the clock's readings and what was looked at when there was time."""
    run = Run(folder)
    snapshot, _ = Checkpoints(folder / "checkpoints").read("last")
    signals = {key: run.signals.read(*key) for key in run.signals.names() if not looked(*key)}
    evaluations = [
        {key: value for key, value in row.items() if key not in ("seconds", "memory_mb", "eta_seconds", "time")}
        for row in run.evaluations
    ]
    return {"snapshot": snapshot, "signals": signals, "evaluations": evaluations, "scores": run.scores}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (one != one and other != other)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("straight") / "run"
    kill_target.train(str(folder), False)
    return final(folder)


def killed_and_resumed(folder: Path, moments: random.Random, kills: int, longest: float = 0.9) -> int:
    """Kills the training `kills` times at random moments, resuming in between, then lets it finish. Gives the kills that hit.

    A kill falls within `longest` seconds of the run's beginning; on a machine so fast that none hit, half of that is tried.
    """
    hit = 0
    word = "new"
    for left in range(kills, -1, -1):
        command = [sys.executable, str(TARGET), str(folder), word, *(["slow"] if left else [])]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "."},
        )
        assert process.stdout is not None
        process.stdout.readline()
        if left:
            until = time.monotonic() + 30
            while not (folder / "run.json").exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, longest))
            if process.poll() is None:
                process.kill()
                hit += 1
        _, said = process.communicate()
        if not left:
            assert process.returncode == 0, said
        word = "resume" if (folder / "run.json").exists() else "new"
        if Run(folder).status == "finished":
            break
    if hit == 0:
        shutil.rmtree(folder)
        return killed_and_resumed(folder, moments, kills, longest / 2)
    return hit


@pytest.mark.parametrize("seed", [0, 1])
def test_kill_9_at_random_moments_changes_nothing(tmp_path: Path, straight: Any, seed: int) -> None:
    hit = killed_and_resumed(tmp_path / "run", random.Random(seed), kills=2)

    assert hit >= 1
    assert same(final(tmp_path / "run"), straight)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 9))
def test_kill_9_at_many_random_moments_changes_nothing(tmp_path: Path, straight: Any, seed: int) -> None:
    hit = killed_and_resumed(tmp_path / "run", random.Random(seed), kills=3)

    assert hit >= 1
    assert same(final(tmp_path / "run"), straight)


def test_the_same_seed_gives_the_same_run(tmp_path: Path, straight: Any) -> None:
    kill_target.train(str(tmp_path / "run"), False)

    assert same(final(tmp_path / "run"), straight)


class Rows(Dataset[Any]):
    """Rows with noise drawn anew each time, from a generator of the given kind."""

    def __init__(self, source: str) -> None:
        self.inputs, self.labels = kill_target.data()
        self.source = source
        self.own = np.random.default_rng(5)

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> Any:
        if self.source == "torch":
            noise: Any = torch.randn(6).numpy()
        elif self.source == "numpy":
            noise = np.random.normal(size=6)
        elif self.source == "python":
            noise = np.array([random.random() for _ in range(6)])
        else:
            noise = self.own.normal(size=6)
        return self.inputs[index] + np.float32(0.1) * noise.astype(np.float32), int(self.labels[index])


def loader_of(kind: str) -> Any:
    if kind == "tensors":
        inputs, labels = kill_target.data()
        return DataLoader(
            TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels)), batch_size=16, shuffle=True
        )
    if kind == "own generator":
        inputs, labels = kill_target.data()
        data = TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels))
        return DataLoader(data, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3))
    if kind == "workers":
        return DataLoader(Rows("torch"), batch_size=16, shuffle=True, num_workers=1)
    return DataLoader(Rows(kind), batch_size=16, shuffle=True)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


@pytest.mark.parametrize(
    "kind", ["tensors", "own generator", "torch", "numpy", "python", "a generator of its own", "workers"]
)
def test_a_strangers_loader_resumes_inside_an_epoch(tmp_path: Path, kind: str) -> None:
    recipe = {"train.epochs": 3, "train.accumulate": 2, "eval.bootstrap": 0}
    ts.fit(ts.Task(net, train=loader_of(kind)), recipe, folder=tmp_path / "straight", display=QuietDisplay())

    ts.fit(
        ts.Task(net, train=loader_of(kind)), recipe, folder=tmp_path / "cut", until="6 steps", display=QuietDisplay()
    )
    assert Run(tmp_path / "cut").status == "paused"
    ts.fit(ts.Task(net, train=loader_of(kind)), recipe, folder=tmp_path / "cut", resume=True, display=QuietDisplay())

    assert same(final(tmp_path / "cut"), final(tmp_path / "straight"))


class Heard(QuietDisplay):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_data_random_beyond_reach_are_told_at_the_start() -> None:
    class Clock(Rows):
        def __getitem__(self, index: int) -> Any:
            return np.float32(time.perf_counter_ns() % 1_000_003) * np.ones(6, np.float32), index % 2

    heard = Heard()

    ts.fit(ts.Task(net, train=DataLoader(Clock("none"), batch_size=16)), {"train.epochs": 1}, display=heard)

    assert any("but not the rows: your data are random in a way" in notice for notice in heard.notices)


def test_a_run_in_memory_goes_on_as_if_it_had_not_paused() -> None:
    inputs, labels = kill_target.data()
    task = ts.Task(net, train=(inputs, labels))
    recipe = {"train.epochs": 4, "eval.bootstrap": 0}

    whole = ts.fit(task, recipe, display=QuietDisplay())
    part = ts.fit(task, recipe, until=1)
    part = ts.fit(task, recipe, until="17 steps", resume=part)
    done = ts.fit(task, recipe, resume=part, display=QuietDisplay())

    assert same(dict(done.model.state_dict()), dict(whole.model.state_dict()))
    assert same(done.signals.read("loss"), whole.signals.read("loss"))


@pytest.mark.parametrize("recipe", [{"run.save_every": 7}, {"eval.every": 9, "run.save_every": 7}, {"train.steps": 70}])
def test_a_stop_after_the_last_update_still_ends_the_epoch_and_judges(tmp_path: Path, recipe: dict[str, Any]) -> None:
    inputs, labels = kill_target.data()
    task = ts.Task(net, train=(inputs[:200], labels[:200]))
    told = {"train.epochs": 5, "train.batch_size": 10, "eval.bootstrap": 0, **recipe}  # 14 updates an epoch, 70 in all

    ts.fit(task, told, folder=tmp_path / "straight", display=QuietDisplay())
    ts.fit(task, told, folder=tmp_path / "cut", until="70 steps", display=QuietDisplay())
    ts.fit(task, told, folder=tmp_path / "cut", resume=True, display=QuietDisplay())

    assert Run(tmp_path / "straight").evaluations[-1]["step"] == 70
    assert same(final(tmp_path / "cut"), final(tmp_path / "straight"))


def test_resume_on_other_data_is_refused(tmp_path: Path) -> None:
    inputs, labels = kill_target.data()
    ts.fit(
        ts.Task(net, train=(inputs, labels)),
        {"train.epochs": 2},
        folder=tmp_path / "run",
        until=1,
        display=QuietDisplay(),
    )
    inputs[3, 2] += 1

    with pytest.raises(DataError, match="the data differ from those of the run"):
        ts.fit(ts.Task(net, train=(inputs, labels)), folder=tmp_path / "run", resume=True, display=QuietDisplay())


def test_resume_with_another_recipe_is_refused_and_named(tmp_path: Path) -> None:
    task = ts.Task(net, train=kill_target.data())
    ts.fit(task, {"train.epochs": 2, "optim.lr": 1e-3}, folder=tmp_path / "run", until=1, display=QuietDisplay())

    with pytest.raises(RecipeError, match=r"optim\.lr = 0\.01 here, 0\.001 in the run"):
        ts.fit(task, {"optim.lr": 1e-2}, folder=tmp_path / "run", resume=True, display=QuietDisplay())


def test_what_changes_no_update_may_change_on_resume(tmp_path: Path) -> None:
    task = ts.Task(net, train=kill_target.data())
    ts.fit(task, {"train.epochs": 2}, folder=tmp_path / "run", until=1, display=QuietDisplay())

    run = ts.fit(task, {"run.log_every": 5}, folder=tmp_path / "run", resume=True, display=QuietDisplay())

    assert run.status == "finished"


def test_a_damaged_checkpoint_is_told_on_resume(tmp_path: Path) -> None:
    task = ts.Task(net, train=kill_target.data())
    ts.fit(task, {"train.epochs": 2}, folder=tmp_path / "run", until=1, display=QuietDisplay())
    file = next((tmp_path / "run" / "checkpoints").glob("step-*/state.safetensors"))
    file.write_bytes(file.read_bytes()[:100])

    with pytest.raises(CheckpointError, match="is cut short"):
        ts.fit(task, folder=tmp_path / "run", resume=True, display=QuietDisplay())
