"""Snapshot ensembles: the paper's schedule, the ends of its cycles, and a run whose checkpoints are taken."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.ensembles.digits import digits, net
from tunesmith import Task, fit
from tunesmith.blocks import schedules
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import average, cycle_ends, measure, snapshot_change, snapshot_steps, snapshot_weights
from tunesmith.records import CheckpointError, Recipe, RecipeError, RunError, revise
from tunesmith.runs import Run
from tunesmith.training.checkpoint import Checkpoints


def rates_of(change: dict[str, Any], steps: int) -> Array:
    return schedules.rates(schedules.build(revise(Recipe(), change).schedule, steps), steps)


@given(st.integers(2, 400), st.integers(1, 12))
def test_the_change_is_the_papers_schedule_and_every_cycle_ends(updates: int, cycles: int) -> None:
    if -(-updates // cycles) < 2:
        return
    change = snapshot_change(updates, cycles)
    total = change["train.steps"]

    rates = rates_of(change, total)

    length = math.ceil(total / cycles)
    paper = [0.5 * (math.cos(math.pi * ((t - 1) % length) / length) + 1) for t in range(1, total + 1)]  # eq. 2
    assert np.allclose(rates, paper, atol=1e-12)
    assert updates <= total < updates + cycles
    if cycles > 1:
        assert cycle_ends(rates) == tuple(length * k for k in range(1, cycles + 1))


@pytest.mark.parametrize(
    ("schedule", "steps", "ends"),
    [
        (schedules.SCHEDULES["cosine_restarts"](70, first=10, t_mul=2.0), 70, (10, 30, 70)),
        (schedules.SCHEDULES["cosine_restarts"](65, first=10, t_mul=2.0), 65, (10, 30)),  # cut off
        (schedules.SCHEDULES["timm_cosine"](40, first=20, cycle_limit=2, cycle_decay=0.5), 40, (20, 40)),
        (schedules.SCHEDULES["cosine_annealing"](40, half_period=10), 31, (11, 31)),  # the lowest update is made at 10
        (
            schedules.join(schedules.linear_warmup(5), schedules.SCHEDULES["cosine_restarts"](20, first=10), 5),
            25,
            (15,),
        ),
        (schedules.SCHEDULES["cosine"](40), 40, ()),
        (schedules.SCHEDULES["constant"](40), 40, ()),
        (schedules.linear_warmup(40), 40, ()),
    ],
)
def test_a_cycle_ends_before_the_rate_rises_again(schedule: Any, steps: int, ends: tuple[int, ...]) -> None:
    assert cycle_ends(schedules.rates(schedule, steps)) == ends


def test_the_change_undoes_what_would_shift_the_cycles_or_lose_their_ends() -> None:
    own = {"schedule.warmup": "0.1dur", "schedule.floor": 0.1, "train.patience": 3, "run.keep": 1, "eval.every": 7}

    recipe = revise(revise(Recipe(), own), snapshot_change(100, 5))

    assert (recipe.schedule.warmup, recipe.schedule.floor, recipe.train.patience) == (0, 0, None)
    assert (recipe.run.keep, recipe.run.save_every, recipe.run.save_seconds, recipe.eval.every) == (5, 20, None, 20)


def test_cycles_that_cannot_be_get_a_sentence() -> None:
    with pytest.raises(RecipeError, match="5 cycles in 5 updates leave 1 a cycle"):
        snapshot_change(5, 5)
    with pytest.raises(RecipeError, match="cycles = 0"):
        snapshot_change(5, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("snapshots") / "run"
    X, y = digits()
    task = Task(net(0), (X[:900].numpy(), y[:900].numpy()), kind="multiclass")
    change = {"train.batch_size": 32, "optim.lr": 0.02, "eval.bootstrap": 0, "data.split": "random"}
    fit(task, {**change, **snapshot_change(160, 4)}, folder=folder)
    return Run(folder)


def test_the_snapshots_of_a_run_are_the_checkpoints_at_the_ends_of_its_cycles(run: Run) -> None:
    assert snapshot_steps(run) == (40, 80, 120, 160)
    assert snapshot_steps(run, most=2) == (120, 160)
    held = list(snapshot_weights(run, most=2))
    last = Checkpoints(run.folder / "checkpoints").weights("last")
    assert all(torch.equal(held[-1][name], value) for name, value in last.items())
    assert not torch.equal(held[0]["0.weight"], held[1]["0.weight"])


def test_the_average_of_the_snapshots_is_better_than_their_mean(run: Run) -> None:
    X, y = digits().X[900:], digits().y[900:].numpy()
    judge, predictions = measure("log_loss", kind="multiclass"), []
    for weights in snapshot_weights(run):
        model = net(0)
        model.load_state_dict(weights)
        predictions.append(model(X).softmax(1).detach().numpy())

    together = judge(y, average(predictions, kind="multiclass"))

    assert together < np.mean([judge(y, one) for one in predictions])
    assert measure("accuracy", kind="multiclass")(y, average(predictions, kind="multiclass")) > 0.9


def test_a_run_that_kept_too_few_is_told_which_are_missing_and_what_to_set(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-0000000080")

    poorer = Run(tmp_path / "run")

    with pytest.raises(
        CheckpointError, match=r"no checkpoint of \[80\], only of \[40, 120, 160\]; train with run\.save"
    ):
        snapshot_steps(poorer)
    assert snapshot_steps(poorer, most=2) == (120, 160)
    with pytest.raises(RecipeError, match="most = 0"):
        snapshot_steps(poorer, most=0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schedule.name": "cosine"}, "never rose again after a fall, so it has no cycles"),
        ({**snapshot_change(20, 2), "run.log_every": 4}, "train with run.log_every = 1"),
    ],
)
def test_a_run_without_cycles_or_without_its_rates_gets_a_sentence(
    change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    X, y = digits()
    task = Task(net(0), (X[:200].numpy(), y[:200].numpy()), kind="multiclass")
    quick = {"train.batch_size": 32, "train.steps": 20, "eval.bootstrap": 0, "data.split": "random"}

    fit(task, {**quick, **change}, folder=tmp_path / "run")

    with pytest.raises(RunError, match=says):
        snapshot_steps(Run(tmp_path / "run"))
