"""Two ranks make the updates of one process, judge as it does, decide as one, and notice what cannot be."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.ranks import rank_target
from tunesmith.training.checkpoint import Checkpoints

TARGET = Path(rank_target.__file__)
BASE = {"train.epochs": 3, "train.batch_size": 16, "optim.name": "adamw", "optim.lr": 0.01, "train.precision": "fp64"}
ALL = BASE | {
    "train.accumulate": 2,
    "train.ema": 0.9,
    "optim.clip_norm": 0.3,
    "loss.class_weights": "balanced",
    "run.save_every": 2,
}
SINGLE = {"train.epochs": 2, "train.batch_size": 15, "optim.name": "sgd", "optim.lr": 0.1}
SAME = {  # trained by one process and by two ranks
    "all": ("all", ALL),
    "single": ("plain", SINGLE),
    "closure": ("plain", BASE | {"optim.name": "sam", "optim.lr": 0.05, "train.epochs": 1}),
    "norm": ("norm", BASE | {"run.sync_batch_norm": True, "train.batch_size": 25, "train.ema": 0.5}),
    "tokens": (
        "tokens",
        BASE | {"train.epochs": 1, "train.accumulate": 2, "model.width": 16, "model.depth": 1, "model.heads": 2},
    ),
    "loader": ("loader", BASE),
    "mixed": ("plain", BASE | {"data.augment": "mixup+noise"}),
    "few": ("plain", BASE | {"train.batch_size": 4, "train.epochs": 1, "train.patience": 1, "eval.every": 2}),
    "nan": ("nan", BASE),
    "memory": ("memory", BASE),
    "parts": ("all", ALL | {"run.zero_stage": 3}),
    "half in parts": (
        "plain",
        BASE | {"run.zero_stage": 2, "train.batch_size": 3, "train.epochs": 1, "optim.name": "sgd"},
    ),
    "single in parts": ("plain", SINGLE | {"run.zero_stage": 3}),
}
ALONE = {  # by two ranks alone
    "apart": ("norm", BASE),
    "paused": ("plain", BASE | {"train.epochs": 400}),
    "breaks": ("breaks", BASE),
    "other data": ("other data", BASE),
    "other recipe": ("plain", BASE),
    "shared": ("shared", BASE),
    "sparse": ("sparse", BASE | {"optim.name": "sgd"}),
    "three": ("plain", BASE | {"run.world_size": 3}),
}

UNFIT = {  # what parts of tensors cannot do
    "unit clipping": ({"run.zero_stage": 3, "optim.clip_adaptive": 0.01}, "goes by rows of a weight"),
    "scaler": ({"run.zero_stage": 2, "train.precision": "fp16"}, "take 'bf16'"),
    "fused": ({"run.zero_stage": 3, "optim.implementation": "fused"}, "steps parts with 'foreach' or 'forloop'"),
    "by matrix": ({"run.zero_stage": 3, "optim.name": "adafactor"}, "does not step each number by itself"),
}


def started(folder: Path, jobs: list[dict[str, Any]], world: int) -> None:
    """Runs the jobs on so many ranks, which all end well and say nothing that is a warning."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-W", "error::UserWarning:tunesmith", str(TARGET), str(folder)]
    variables = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
    variables |= {"PYTHONPATH": os.pathsep.join([".", *sys.path]), "OMP_NUM_THREADS": "1"}
    running = []
    for rank in range(world):
        place = {"RANK": str(rank), "WORLD_SIZE": str(world), "TUNESMITH_MEETING": str(folder / f"meeting-{len(jobs)}")}
        environment = variables | (place if world > 1 else {})
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    said = [one.communicate(timeout=500)[1] for one in running]
    assert [one.returncode for one in running] == [0] * world, "\n".join(said)


def jobs_of(named: dict[str, tuple[str, dict[str, Any]]], folder: Path) -> list[dict[str, Any]]:
    return [
        {"name": name, "case": case, "recipe": recipe, "folder": str(folder / name)}
        for name, (case, recipe) in named.items()
    ]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases on two ranks; of "all" also the beginning of a run that goes on elsewhere."""
    folder = tmp_path_factory.mktemp("two")
    jobs = jobs_of(SAME | ALONE | {name: ("plain", BASE | change) for name, (change, _) in UNFIT.items()}, folder)
    for job in jobs:
        if job["name"] == "paused":
            job["until"] = "0.6 seconds"
        if job["name"] == "other recipe":
            job["recipe of rank 1"] = {"optim.lr": 0.02}
    jobs.append({"name": "in memory", "case": "plain", "recipe": BASE, "pause": "1 epochs"})
    parts = ALL | {"run.zero_stage": 3}
    jobs.append(
        {"name": "moving", "case": "all", "recipe": parts, "folder": str(folder / "moving"), "until": "2 steps"}
    )
    started(folder, jobs, 2)
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, two: Path) -> Path:
    """The same in one process; the run that moves goes on from two ranks to one, and to two again."""
    folder = tmp_path_factory.mktemp("one")
    on = {"name": "moving", "case": "all", "folder": str(two / "moving"), "resume": True}
    alone = {name: (case, {**recipe, "run.zero_stage": 0}) for name, (case, recipe) in SAME.items()}
    lonely = {"name": "lonely", "case": "plain", "recipe": BASE | {"run.zero_stage": 3}}
    started(folder, [*jobs_of(alone, folder), on | {"until": "7 steps", "recipe": {"run.zero_stage": 0}}, lonely], 1)
    again = tmp_path_factory.mktemp("again")
    started(again, [on | {"recipe": {"run.zero_stage": 3}}], 2)
    return folder


def told(folder: Path, job: str, rank: int = 0) -> Any:
    return json.loads((folder / f"{job}.{rank}.json").read_text())


def last(folder: Path, job: str) -> Any:
    """The last snapshot; of the optimizer what it remembers, for parts are stepped by another kernel."""
    snapshot = Checkpoints(folder / job / "checkpoints").read("last")[0]
    return {**snapshot, "optimizer": snapshot["optimizer"]["state"]}


def apart(ours: Any, theirs: Any) -> float:
    """The largest difference of two nested states; infinite where they are not built alike."""
    if isinstance(ours, torch.Tensor):
        return (ours.double() - theirs.double()).abs().max().item() if ours.numel() else 0.0
    if isinstance(ours, dict):
        return (
            max((apart(ours[key], theirs[key]) for key in ours), default=0.0)
            if ours.keys() == theirs.keys()
            else math.inf
        )
    if isinstance(ours, (list, tuple)):
        return max(map(apart, ours, theirs), default=0.0) if len(ours) == len(theirs) else math.inf
    if isinstance(ours, float):
        return abs(ours - theirs)
    return 0.0 if ours == theirs else math.inf


@pytest.mark.parametrize("name", SAME)
def test_two_ranks_make_the_updates_of_one_process(one: Path, two: Path, name: str) -> None:
    """Uneven parts, accumulation, weights of rows, classes and tokens, averages, clipping, dropout: to rounding."""
    ours, theirs = last(two, name), last(one, name)
    bound = 1e-6 if name.startswith("single") else 1e-9

    for part in ("model", "optimizer", "average"):
        assert apart(ours[part], theirs[part]) < bound, part
    assert ours["step"] == theirs["step"] > 0
    assert torch.equal(ours["random"]["torch"], theirs["random"]["torch"])


@pytest.mark.parametrize("name", SAME)
def test_the_judgement_is_that_of_one_process_on_every_rank(one: Path, two: Path, name: str) -> None:
    ours, theirs = told(two, name), told(one, name)

    assert apart(ours["rows"], theirs["rows"]) < 1e-6
    assert apart(ours["scores"]["parts"], theirs["scores"]["parts"]) < 1e-6
    assert told(two, name, 1)["scores"] == ours["scores"]
    assert told(two, name, 1)["rows"] == ours["rows"]
    weights = [torch.load(two / f"{name}.{rank}.pt")["weights"] for rank in (0, 1)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_run_goes_from_two_ranks_to_one_and_back(one: Path, two: Path) -> None:
    ours, theirs = last(two, "moving"), last(one, "all")

    for part in ("model", "optimizer", "average"):
        assert apart(ours[part], theirs[part]) < 1e-11, part
    assert told(one, "moving")["ending"] == "paused"
    assert ours["step"] == theirs["step"] == 9


def test_the_cases_do_what_they_are_there_for(one: Path, two: Path) -> None:
    """Else the comparisons would compare nothing."""
    assert told(two, "few")["ending"] == "early"
    assert any("left out" in line for line in told(two, "nan")["said"]), told(two, "nan")["said"]
    assert any("memory ran out" in line for line in told(two, "memory")["said"])
    assert not any("memory ran out" in line for line in told(one, "memory")["said"])
    assert any("2 ranks divide each micro-batch of 16 rows" in line for line in told(two, "all")["said"])


def test_the_clock_of_the_first_rank_pauses_all_after_the_same_update(two: Path) -> None:
    ours, theirs = told(two, "paused"), told(two, "paused", 1)

    assert ours["ending"] == theirs["ending"] == "paused"
    assert ours["rows"] == theirs["rows"]


def test_batch_norm_that_is_not_synchronised_is_told(two: Path) -> None:
    assert any("set run.sync_batch_norm = true" in line for line in told(two, "apart")["said"])
    assert not any("run.sync_batch_norm" in line for line in told(two, "norm")["said"])


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("other data", "DataError", "the ranks have different data (fingerprint"),
        ("other recipe", "RecipeError", "optim.lr = 0.02 on rank 1, 0.01 on rank 0"),
        ("shared", "DataError", "DistributedSampler hands out the rows of one rank"),
        ("sparse", "RecipeError", "sparse gradients, which 2 ranks cannot add up"),
        ("three", "RecipeError", "run.world_size = 3 (revised), but 2 were started"),
    ],
)
def test_what_does_not_fit_is_said_on_every_rank(two: Path, name: str, error: str, words: str) -> None:
    for rank in (0, 1):
        found = told(two, name, rank)

        assert found["error"] == error
        assert words in found["said"]
        assert "\n" not in found["said"]


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_done_in_parts_is_refused(two: Path, name: str) -> None:
    for rank in (0, 1):
        found = told(two, name, rank)

        assert found["error"] == "RecipeError"
        assert UNFIT[name][1] in found["said"]


def test_one_process_has_nothing_to_divide(one: Path) -> None:
    assert (
        "run.zero_stage = 3 divides the model over several ranks, and this process is alone"
        in told(one, "lonely")["said"]
    )


def test_a_run_in_memory_goes_on_from_the_first_rank(two: Path) -> None:
    ours, theirs = told(two, "in memory"), told(two, "in memory", 1)

    assert len(ours["rows"]) == 3
    assert theirs["rows"] == ours["rows"][1:]  # since it went on
    assert theirs["scores"] == ours["scores"]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("stage", [0, 3])
def test_ranks_take_a_gpu_each(tmp_path: Path, one: Path, stage: int) -> None:
    change = {"train.device": "cuda", "run.zero_stage": stage}
    started(tmp_path, jobs_of({"single": ("plain", SINGLE | change)}, tmp_path), 2)

    assert apart(told(tmp_path, "single")["rows"], told(one, "single")["rows"]) < 1e-4


def test_what_breaks_on_one_rank_ends_all_after_the_same_update(two: Path) -> None:
    broken, other = told(two, "breaks", 1), told(two, "breaks", 0)

    assert "no such leaf" in broken["said"]
    assert "the update broke on another rank" in other["said"]
