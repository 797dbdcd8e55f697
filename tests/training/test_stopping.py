"""A training obeys a request that is left in its folder, and one that is none is not seen."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tunesmith as ts
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run
from tunesmith.runs.stopping import FILE, ask_to_stop

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


class Slow(nn.Module):
    """A net that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.004)
        return self.layer(x)


def trained(folder: Path, **given: Any) -> Run:
    task = ts.Task(Slow(), (X, Y), val=(X, Y), test=(X, Y), loss=nn.CrossEntropyLoss())
    recipe = {"train.epochs": 400, "train.batch_size": 8, "train.ema": 0.9, "run.watch": False, "eval.every": 10_000}
    return ts.fit(task, recipe, folder=folder, display=QuietDisplay(), **given)


def asking(folder: Path, how: str, after_seconds: float = 0.3) -> threading.Thread:
    """Leaves the request once the training has begun."""

    def ask() -> None:
        while not (folder / "log.sqlite").exists() or not Run(folder).info.get("obeys"):
            time.sleep(0.02)
        time.sleep(after_seconds)
        ask_to_stop(folder, how)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.mark.parametrize("how", ["save", "stop"])
def test_a_request_ends_the_training_after_the_update(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "run"
    thread = asking(folder, how)
    began = time.monotonic()

    run = trained(folder)

    thread.join()
    last = folder / "checkpoints" / "last.json"
    steps, _ = run.signals.read("loss")
    stops = [row for row in run.decisions if row["what"] == "stop"]
    assert time.monotonic() - began < 20
    assert run.status == "interrupted"
    assert run.info["ending"] == "interrupted"
    assert not (folder / FILE).exists()
    assert [row["change"] for row in stops] == [{"how": how}]
    assert last.exists() == (how == "save")
    assert 0 < len(steps) < 3200


def test_what_was_saved_goes_on_from_there_and_an_old_request_is_not_obeyed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    thread = asking(folder, "save")
    before = trained(folder).signals.read("loss")[0][-1]
    thread.join()
    ask_to_stop(folder, "stop")

    run = trained(folder, resume=True, until=f"{before + 5} steps")

    assert run.status == "paused"
    assert run.signals.read("loss")[0].tolist() == list(range(1, before + 6))
    assert not (folder / FILE).exists()
