"""What cannot train is said in one sentence, before anything is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tunesmith as ts
from tunesmith.records import (
    DataError,
    DeviceError,
    ModelError,
    RecipeError,
    RunBusy,
    RunError,
    TrainingFailed,
    UnknownName,
)
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run

ROWS = 60


def table(classes: int = 3) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(ROWS, 4)).astype(np.float32), (np.arange(ROWS) % classes).astype(np.int64)


def net(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))


class Heard(QuietDisplay):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.faults: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def finding(self, finding: Any, step: int) -> None:
        self.faults.append(finding.fault)


def fit(model: Any = None, recipe: Any = None, data: Any = None, **about: Any) -> Any:
    display = about.pop("display", QuietDisplay())
    folder = about.pop("folder", None)
    task = ts.Task(model if model is not None else net(), train=data if data is not None else table(), **about)
    return ts.fit(task, {"train.epochs": 1, "eval.bootstrap": 0, **(recipe or {})}, folder=folder, display=display)


def test_fewer_outputs_than_classes() -> None:
    with pytest.raises(
        ModelError,
        match=r"the model gives 2 outputs, but the training rows hold label 2 \(row \d+\): labels must lie in 0\.\.1",
    ):
        fit(net(2))


def test_one_label_out_of_range_of_a_users_own_model() -> None:
    inputs, labels = table(10)
    labels[7] = 10

    with pytest.raises(ModelError, match=r"the model gives 10 outputs, but the .* rows hold label 10"):
        fit(net(10), data=(inputs, labels))


def test_a_label_out_of_range_in_a_loader() -> None:
    inputs, labels = table()
    labels[-1] = 7
    loader = DataLoader(TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels)), batch_size=16)

    with pytest.raises(DataError, match="met label 7, which the model has no output for"):
        fit(data=loader)


def test_a_model_that_does_not_take_the_data_names_both_shapes() -> None:
    with pytest.raises(
        ModelError,
        match=r"the model does not take these data: RuntimeError: .*it was given a float32 tensor of shape \(16, 4\)",
    ):
        fit(nn.Linear(5, 3))


def test_an_index_beyond_its_embedding_table() -> None:
    tokens = np.arange(ROWS * 2).reshape(ROWS, 2) % 30

    with pytest.raises(DataError, match="met an index beyond an embedding table"):
        fit(nn.Sequential(nn.Embedding(20, 3), nn.Flatten(), nn.Linear(6, 3)), data=(tokens, table()[1]))


def test_a_loss_that_returns_a_vector() -> None:
    with pytest.raises(ModelError, match=r"returned a tensor of shape \(\d+,\)"):
        fit(loss=lambda outputs, target: nn.functional.cross_entropy(outputs, target, reduction="none"))


def test_a_model_without_anything_to_train() -> None:
    model = net().requires_grad_(False)

    with pytest.raises(ModelError, match=r"no trainable parameter|nothing"):
        fit(model)


def test_frozen_parts_are_told_and_stay() -> None:
    heard = Heard()
    model = net()
    model[0].requires_grad_(False)
    before = model[0].weight.detach().clone()

    run = fit(model, display=heard)

    assert any("2 parameters are frozen" in notice for notice in heard.notices)
    assert torch.equal(run.model[0].weight, before)


def test_parameters_outside_the_optimizer_are_found() -> None:
    heard = Heard()

    fit(optimizer=lambda parameters: torch.optim.SGD(list(parameters)[:2], lr=0.1), display=heard)

    assert heard.faults == ["optim.unregistered_params"]


def test_an_optimizer_over_other_parameters_is_refused() -> None:
    with pytest.raises(ModelError, match="holds none of the model's 4 trainable parameters"):
        fit(optimizer=lambda parameters: torch.optim.SGD(net().parameters(), lr=0.1))


def test_a_coupled_loss_is_told_under_accumulation_and_not_forbidden() -> None:
    def contrast(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        likeness = outputs @ outputs.T
        return nn.functional.cross_entropy(likeness, torch.arange(len(outputs)))

    heard, quiet = Heard(), Heard()

    fit(loss=contrast, recipe={"train.accumulate": 2, "train.batch_size": 16}, display=heard)
    fit(loss=nn.CrossEntropyLoss(), recipe={"train.accumulate": 2, "train.batch_size": 16}, display=quiet)

    assert heard.faults == ["batch.coupled_loss"]
    assert quiet.faults == []


def test_batch_norm_is_told_under_accumulation() -> None:
    heard = Heard()

    fit(
        nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)),
        recipe={"train.accumulate": 2},
        display=heard,
    )

    assert heard.faults == ["batch.coupled_loss"]


def test_a_batch_larger_than_the_data_is_told() -> None:
    run = fit(recipe={"train.batch_size": 4096})

    assert run.recipe.train.batch_size == 42
    assert str(run.recipe.source("train.batch_size")) == "derived (4096 is more than the 42 training rows)"


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match=r"train\.device = 'cuda:77', but this machine has cpu"):
        fit(recipe={"train.device": "cuda:77"})


@pytest.mark.parametrize(
    ("path", "value", "near"),
    [
        ("optim.name", "adamww", "adamw"),
        ("schedule.name", "cosin", "cosine"),
        ("eval.metric", "acuracy", "accuracy"),
        ("model.name", "mpl", "mlp"),
    ],
)
def test_unknown_names_name_the_nearest(path: str, value: str, near: str) -> None:
    with pytest.raises((RecipeError, UnknownName), match=f"did you mean '{near}'"):
        fit("auto", recipe={path: value})


def test_what_no_task_has() -> None:
    with pytest.raises(UnknownName, match="fit got 'tarjet', which no task has; did you mean 'target'"):
        ts.fit(table(), tarjet="y")


def test_until_in_words_it_does_not_know() -> None:
    with pytest.raises(RecipeError, match="until = 'two fortnights': expected a number of epochs"):
        ts.fit(table(), until="two fortnights")


@pytest.mark.parametrize("recover", ["auto", "off"])
def test_a_loss_that_becomes_nan_stops_before_the_weights(recover: str) -> None:
    def breaking(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(outputs, target)
        breaking.calls += 1  # type: ignore[attr-defined]
        return loss * float("nan") if breaking.calls > 4 else loss  # type: ignore[attr-defined]

    breaking.calls = 0  # type: ignore[attr-defined]
    heard = Heard()

    with pytest.raises(
        TrainingFailed, match=r"training stopped at step \d: the training loss became nan at step \d \(epoch \d\)"
    ):
        fit(loss=breaking, recipe={"train.batch_size": 8, "train.epochs": 6, "train.recover": recover}, display=heard)

    told = ["numerics.unsafe_op", "loss.nonfinite"]  # where it was born, and what came of it
    assert heard.faults[:2] == told
    assert set(heard.faults[2:]) <= {"loss.nonfinite"}  # windows are left out first, then it ends


def test_a_failed_run_keeps_what_was_written(tmp_path: Path) -> None:
    class Breaking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()
            self.calls = 0

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            if self.calls > 6:
                raise ValueError("a bug of the user's")
            return self.inner(inputs)  # type: ignore[no-any-return]

    with pytest.raises(TrainingFailed, match="the update after step 6 broke with ValueError: a bug of the user's"):
        fit(Breaking(), recipe={"train.batch_size": 8, "train.epochs": 5}, folder=tmp_path / "run")

    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert "a bug of the user's" in (tmp_path / "run" / "traceback.txt").read_text()
    assert run.signals.read("loss")[0].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_new_run_does_not_overwrite_another(tmp_path: Path) -> None:
    fit(folder=tmp_path / "run")

    with pytest.raises(RunError, match="run"):
        fit(folder=tmp_path / "run")


def test_a_folder_in_use_is_told(tmp_path: Path) -> None:
    fit(folder=tmp_path / "run")

    with Run(tmp_path / "run").writer(), pytest.raises(RunBusy):
        ts.fit(ts.Task(net(), train=table()), folder=tmp_path / "run", resume=True, display=QuietDisplay())


def test_one_row_and_batch_norm() -> None:
    inputs, labels = table()
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))

    run = fit(model, data=(inputs[:25], labels[:25]), recipe={"train.batch_size": 8, "data.val": 0.0, "data.test": 0.0})

    assert run.signals.read("loss")[0].tolist() == [1, 2, 3]  # 8, 8 and 9 rows: the last row joins the batch before it


def test_ignored_tokens_are_no_labels_out_of_range() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:  # (N, L, 4) to (N, C, L)
            return self.inner(inputs).transpose(1, 2)  # type: ignore[no-any-return]

    labels = np.arange(ROWS * 6).reshape(ROWS, 6) % 3
    labels[:, 4:] = -100
    inputs = np.random.default_rng(0).normal(size=(ROWS, 6, 4)).astype(np.float32)

    run = fit(Tagger, {"data.val": 0.0, "data.test": 0.0}, (inputs, labels), loss=nn.CrossEntropyLoss())

    assert run.status == "finished"
