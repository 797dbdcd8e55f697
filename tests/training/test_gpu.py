"""The same trainings on a CUDA device."""

from pathlib import Path
from typing import Any

import pytest
import torch

import tunesmith as ts
from tests.training import kill_target
from tests.training.test_resume import net, same
from tunesmith.records import TrainingFailed
from tunesmith.reports import QuietDisplay
from tunesmith.training.loaders import transfer_seconds

pytestmark = pytest.mark.gpu

CASES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"train.precision": "bf16"},
    "fp16": {"train.precision": "fp16"},
    "streamed": {"data.in_memory": False, "data.workers": 1},
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_on_the_device_resumes_exactly(tmp_path: Path, case: str) -> None:
    task = ts.Task(net, train=kill_target.data())
    recipe = {"train.epochs": 4, "train.device": "cuda", "train.ema": 0.9, "eval.bootstrap": 0, **CASES[case]}

    whole = ts.fit(task, recipe, folder=tmp_path / "whole", display=QuietDisplay())
    ts.fit(task, recipe, folder=tmp_path / "cut", until="9 steps", display=QuietDisplay())
    cut = ts.fit(task, recipe, folder=tmp_path / "cut", resume=True, display=QuietDisplay())

    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))
    assert same(cut.signals.read("loss"), whole.signals.read("loss"))


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    def breaking(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        breaking.calls += 1  # type: ignore[attr-defined]
        loss = torch.nn.functional.cross_entropy(outputs, target)
        return loss * float("nan") if breaking.calls > 12 else loss  # type: ignore[attr-defined]

    breaking.calls = 0  # type: ignore[attr-defined]
    task = ts.Task(net, train=kill_target.data(), loss=breaking)

    with pytest.raises(TrainingFailed, match="became nan"):
        ts.fit(task, {"train.epochs": 6, "train.device": "cuda"}, folder=tmp_path / "run", display=QuietDisplay())

    weights = ts.load(tmp_path / "run", model=net()).model.state_dict()
    assert all(value.isfinite().all() for value in weights.values())


def test_both_ways_to_the_device_are_timed() -> None:
    plain, pinned = transfer_seconds(torch.device("cuda"), rows=64, rounds=20)

    assert plain > 0
    assert pinned > 0
