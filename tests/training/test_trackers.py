"""A real training feeds the trackers that its recipe names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import tunesmith as ts
from tunesmith.records import MissingExtra, UnknownName
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run


def train(folder: Path, *trackers: str) -> Any:
    inputs = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    task = ts.Task(lambda: nn.Linear(3, 2), train=(inputs, (inputs[:, 0] > 0).astype(np.int64)))
    recipe = {"train.epochs": 2, "eval.bootstrap": 0, "run.exporters": list(trackers)}
    return ts.fit(task, recipe, folder=folder, display=QuietDisplay())


def test_tensorboard_gets_the_curves_and_the_scores(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(tmp_path / "run", "tensorboard")

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    steps, values = run.signals.read("loss")
    seen = events.Scalars("loss")
    assert [event.step for event in seen] == steps.tolist()
    assert np.allclose([event.value for event in seen], values, rtol=1e-6)
    assert any("accuracy" in tag for tag in events.Tags()["scalars"])


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_others_are_fed_without_a_network(tmp_path: Path, tracker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(tracker, reason=f"the extra {tracker} is not installed")
    monkeypatch.chdir(tmp_path)

    run = train(tmp_path / "run", tracker)

    assert run.status == "finished"
    assert any(path.name in ("mlruns", "wandb") for path in tmp_path.rglob("*"))


def test_a_tracker_that_is_not_installed_names_its_extra(tmp_path: Path) -> None:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match="tensorboard"):
            train(tmp_path / "run", "tensorboard")
        assert Run(tmp_path / "run").status == "failed"
    else:
        pytest.skip("tensorboard is installed")


def test_an_unknown_tracker_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'tensorboard'"):
        train(tmp_path / "run", "tensorbord")
