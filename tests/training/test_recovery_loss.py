"""A loss that leaps or is no number: the run gets over it, says so, and does the same again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training import recovery_target
from tests.training.recovery_target import train
from tests.training.test_resume import final, same
from tunesmith.records import TrainingFailed
from tunesmith.training import loop
from tunesmith.training.recovery.spikes import LASTS, WINDOW, Spikes

BEARING = {"schedule.name": "linear", "train.epochs": 4, "train.batch_size": 16, "train.snapshot_every": 25}
FALLING = {**BEARING, "train.skips": 0}  # no window is left out before it can make the loss leap


def events(run: Any) -> list[Any]:
    return [row for row in run.decisions if row["what"] == "recovery"]


def score(run: Any) -> float:
    return float(min(row["val_loss"] for row in run.evaluations))


def weights(run: Any) -> Tensor:
    return torch.cat([value.flatten() for value in run.model.state_dict().values()])


@pytest.fixture(scope="module")
def clean() -> Any:
    return train(wild=False, recipe=FALLING)


def test_a_wild_row_is_got_over(clean: Any) -> None:
    run = train(recipe=FALLING)
    unhelped = train(recipe={**FALLING, "train.recover": "off"})

    assert 1 <= len(events(run)) <= 4  # the row comes once an epoch
    assert all(row["change"]["skip"] == 2 for row in events(run))
    assert abs(score(run) - score(clean)) < 0.05 * score(clean)
    assert score(unhelped) > 10 * score(clean)
    assert [finding.fault for finding in run.findings if finding.severity == "warning"].count("loss.spike") == 1
    steps = run.signals.read("loss")[0].tolist()
    assert steps == sorted(set(steps))


def test_the_same_seed_recovers_the_same_way() -> None:
    one, other = train(recipe=FALLING), train(recipe=FALLING)

    assert torch.equal(weights(one), weights(other))
    assert same(one.signals.read("loss"), other.signals.read("loss"))


def test_where_snapshots_lie_changes_nothing() -> None:
    one, other = (train(recipe={**FALLING, "train.snapshot_every": every}) for every in (7, 60))

    assert events(one)
    assert torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("save_every", ["none", "9"])
def test_kill_9_in_the_middle_of_a_recovery_changes_nothing(tmp_path: Path, save_every: str) -> None:
    def go(word: str) -> int:
        command = [sys.executable, str(recovery_target.__file__), str(tmp_path / "cut"), word, save_every]
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, check=False, timeout=120).returncode

    train(
        tmp_path / "whole",
        recipe={"train.skips": 0, "run.save_every": None if save_every == "none" else int(save_every)},
    )

    assert go("kill") == -9
    assert go("resume") == 0
    assert same(final(tmp_path / "cut"), final(tmp_path / "whole"))


def rate_that_leaps(factor: float) -> Any:
    return lambda step: factor if step == 150 else 1.0 - step / 320


def test_a_rate_that_leaps_is_held_low_where_leaving_batches_out_does_not_help(clean: Any) -> None:
    recipe = {**FALLING, "train.returns": 3}
    run = train(wild=False, recipe=recipe, schedule=rate_that_leaps(3000.0))
    unhelped = train(wild=False, recipe={**recipe, "train.recover": "off"}, schedule=rate_that_leaps(3000.0))

    assert len(events(run)) == 2
    assert "the rate stays below" in events(run)[1]["because"]
    assert abs(score(run) - score(clean)) < 0.1 * score(clean)
    assert score(unhelped) > 1.2 * score(run)


def test_no_returns_when_none_are_wanted() -> None:
    run = train(recipe={**FALLING, "train.returns": 0})

    assert events(run) == []


@pytest.mark.parametrize("schedule", ["cosine_restarts", "one_cycle", "cyclic", "constant"])
def test_sound_runs_are_left_alone(schedule: str) -> None:
    recipe = {**FALLING, "schedule.name": schedule}

    on = train(wild=False, recipe=recipe)
    off = train(wild=False, recipe={**recipe, "train.recover": "off"})

    assert events(on) == []
    assert torch.equal(weights(on), weights(off))
    assert same(on.signals.read("loss"), off.signals.read("loss"))


def leaps(losses: Any, rates: Any = None) -> list[int]:
    spikes, found = Spikes(), []
    for step, loss in enumerate(losses, 1):
        if spikes.see(step, float(loss), 0.1 if rates is None else float(rates[step - 1])):
            found.append(spikes.onset)
            spikes.forget()
    return found


@pytest.mark.parametrize("seed", range(40))
def test_heavy_tails_and_slow_rises_are_no_leaps(seed: int) -> None:
    generator = np.random.default_rng(seed)
    falling = 2.0 * np.exp(-np.arange(2000) / 300) + 0.1
    gaussian = falling + 0.1 * generator.normal(size=2000) * falling
    heavy = falling * np.exp(0.5 * generator.standard_t(2.5, size=2000))
    rising = np.concatenate([falling, np.linspace(0.1, 1.0, 500)]) + 0.02 * generator.normal(size=2500)

    assert leaps(gaussian) == leaps(heavy) == leaps(rising) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_leap_is_found_when_it_has_lasted(seed: int) -> None:
    generator = np.random.default_rng(seed)
    losses = (2.0 * np.exp(-np.arange(600) / 100) + 0.2) * np.exp(0.1 * generator.normal(size=600))
    single, lasting, blown = losses.copy(), losses.copy(), losses.copy()
    single[300] = 50.0
    lasting[300:340] += 2.0
    blown[300:] = np.nan

    assert leaps(single) == []
    assert leaps(lasting)[0] == leaps(blown)[0] == 301


def test_a_rate_that_rises_may_raise_the_loss() -> None:
    losses = np.concatenate([np.linspace(2.0, 0.5, 200), np.full(50, 1.6), np.full(50, 0.5)])
    rates = np.concatenate([np.full(200, 0.01), np.full(100, 0.1)])

    assert leaps(losses, rates) == []
    assert leaps(losses)[0] == 201
    assert WINDOW > LASTS


class Broken(nn.Module):
    """Gives NaN for rows whose first column is beyond a mark, while it learns."""

    def __init__(self, mark: float) -> None:
        super().__init__()
        self.net = recovery_target.net()
        self.mark = mark

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.net(inputs)
        return torch.where(inputs[:, :1] > self.mark, torch.nan, outputs) if self.training else outputs


def test_windows_with_no_number_are_left_out_and_counted(clean: Any) -> None:
    run = train(wild=False, recipe=BEARING, model=lambda: Broken(2.75))

    counts = [row["change"]["skipped"] for row in events(run)]
    assert counts == list(range(1, len(counts) + 1))
    assert len(counts) >= 4  # once an epoch and row
    assert abs(score(run) - score(clean)) < 0.05 * score(clean)
    assert [finding.fault for finding in run.findings].count("loss.nonfinite") == 1
    assert all(np.isfinite(run.signals.read("loss")[1]))


def test_the_source_is_named_where_the_run_is_watched() -> None:
    run = train(wild=False, recipe={**BEARING, "run.watch": True}, model=lambda: Broken(2.75))

    (told,) = [finding for finding in run.findings if finding.message.startswith("loss.nonfinite")]
    assert told.severity == "warning"
    assert told.subject["update"] >= 1
    assert run.status == "finished"


def test_nothing_but_nan_ends_the_run_with_its_reason() -> None:
    with pytest.raises(
        TrainingFailed, match=r"the training loss became nan at step 0 .*3 windows were left out before"
    ):
        train(wild=False, recipe=BEARING, model=lambda: Broken(-100.0))


def test_too_many_windows_without_a_number_end_the_run() -> None:
    with pytest.raises(TrainingFailed, match=r"became nan at step \d+ .*10 windows were left out before"):
        train(wild=False, recipe={**BEARING, "train.epochs": 8}, model=lambda: Broken(2.6))


def test_weights_that_are_no_numbers_are_taken_back(clean: Any) -> None:
    class Spoils(loop.Guard):
        done = False

        def after_step(self, state: Any, measured: Any) -> None:
            if state.step == 100 and not self.done:
                self.done = True
                with torch.no_grad():
                    next(state.model.parameters()).view(-1)[0] = torch.nan

    run = train(wild=False, recipe=BEARING, guards=[Spoils()])

    assert [row["change"]["to"] for row in events(run) if "to" in row["change"]] == [92]
    assert abs(score(run) - score(clean)) < 0.05 * score(clean)


def test_numbers_that_come_late_are_taken_back(monkeypatch: pytest.MonkeyPatch, clean: Any) -> None:
    """As on a GPU, where the loop does not wait for the numbers of an update before it makes it."""
    begin = loop.Loop.__init__

    def asynchronous(self: Any, *about: Any, **more: Any) -> None:
        begin(self, *about, **more)
        self.cpu = False

    monkeypatch.setattr(loop.Loop, "__init__", asynchronous)

    run = train(wild=False, recipe=BEARING, model=lambda: Broken(2.75))

    assert all(np.isfinite(run.signals.read("loss")[1]))
    assert len(events(run)) >= 4
    assert abs(score(run) - score(clean)) < 0.25 * score(clean)  # of 75 batches in an epoch some are lost


def test_twice_in_one_place_and_the_run_stops_only_when_it_may_not_return(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = loop.Loop.__init__

    def asynchronous(self: Any, *about: Any, **more: Any) -> None:
        begin(self, *about, **more)
        self.cpu = False

    monkeypatch.setattr(loop.Loop, "__init__", asynchronous)

    with pytest.raises(TrainingFailed, match="became nan at step"):
        train(wild=False, recipe={**BEARING, "train.returns": 0}, model=lambda: Broken(2.6))
