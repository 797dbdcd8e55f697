"""A run that is short of memory ends as the run that is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tests.training.test_resume import same
from tunesmith.blocks import losses
from tunesmith.records import DeviceError
from tunesmith.records.state import State
from tunesmith.reports import QuietDisplay
from tunesmith.testing.memory_faults import memory_faults
from tunesmith.training.batch import Batch
from tunesmith.training.precision import Precision
from tunesmith.training.recovery.cutting import Cutting, cut
from tunesmith.training.recovery.room import TRIALS, WAIT, Room
from tunesmith.training.update import Update

ROWS, BATCH = 150, 16


def table() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(ROWS, 6)).astype(np.float32)
    return inputs, (inputs[:, 0] + 0.5 * generator.normal(size=ROWS) > 0.3).astype(np.int64)


def texts() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, 20, size=(ROWS, 7))
    return tokens, (tokens[:, 0] > 10).astype(np.int64)


def pictures() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    inputs, labels = table()
    return np.repeat(inputs, 6, axis=1).reshape(ROWS, 1, 6, 6).copy(), labels


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.net = nn.LSTM(8, 8, num_layers=2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.net(self.table(tokens))[0][:, -1])  # type: ignore[no-any-return]


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.net = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True), 2, enable_nested_tensor=False
        )
        self.head = nn.Linear(8, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.net(self.table(tokens)).mean(1))  # type: ignore[no-any-return]


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))


def dropping() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)
    )


def convolving() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten(), nn.Linear(64, 2)
    )


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


MODELS: dict[str, tuple[Any, Any]] = {
    "plain": (plain, table),
    "dropout": (dropping, table),
    "convolutions": (convolving, pictures),
    "recurrent": (Recurrent, texts),
    "attention": (Attentive, texts),
}


def fit(model: Any = plain, data: Any = table, recipe: Any = None, **more: Any) -> Any:
    about = {name: more.pop(name) for name in ("loss", "optimizer", "kind") if name in more}
    task = ts.Task(lambda: model(), train=data(), **about)
    chosen = {
        "train.epochs": 2,
        "train.batch_size": BATCH,
        "train.precision": "fp64",
        "optim.lr": 0.01,
        "eval.bootstrap": 0,
        "run.watch": False,
        **(recipe or {}),
    }
    return ts.fit(task, chosen, display=QuietDisplay(), **more)


def weights(run: Any) -> Tensor:
    return torch.cat([value.flatten().double() for value in run.model.state_dict().values()])


def apart(one: Any, other: Any) -> float:
    return float((weights(one) - weights(other)).norm() / weights(other).norm())


def events(run: Any) -> list[Any]:
    return [row for row in run.decisions if row["what"] == "recovery"]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return {name: fit(model, data) for name, (model, data) in MODELS.items()}


@pytest.mark.parametrize(
    ("name", "limit", "place"),
    [
        *((name, limit, "forward") for name in MODELS for limit in (3, 15)),
        *((name, 6, "backward") for name in MODELS),
        ("dropout", 2, "evaluation"),
        ("attention", 15, "evaluation"),
    ],
)
def test_a_run_short_of_memory_ends_as_one_that_is_not(
    name: str, limit: int, place: Any, whole: dict[str, Any]
) -> None:
    model, data = MODELS[name]

    with memory_faults(rows=limit, places=(place,)) as faults:
        run = fit(model, data)

    assert faults.raised
    assert apart(run, whole[name]) < 1e-9
    assert run.status == "finished"
    assert events(run)
    losses_then, losses_now = whole[name].signals.read("loss")[1], run.signals.read("loss")[1]
    assert np.allclose(losses_then, losses_now, rtol=1e-9)
    assert run.scores["parts"]["val"]["loss"] == pytest.approx(whole[name].scores["parts"]["val"]["loss"], rel=1e-9)


@pytest.mark.parametrize("passes", [(1,), (3, 4), (14,)], ids=["first", "inside", "last"])
@pytest.mark.parametrize("place", ["forward", "backward"])
def test_a_fault_at_a_single_batch(place: Any, passes: Any, whole: dict[str, Any]) -> None:
    steps = len(whole["dropout"].signals.read("loss")[0])
    assert steps == 14

    with memory_faults(rows=4, places=(place,), passes=passes, most=1) as faults:
        run = fit(dropping)

    assert len(faults.raised) == 1
    assert apart(run, whole["dropout"]) < 1e-9
    assert [row["change"]["rows"] for row in events(run)] in ([8], [5])  # the last batch has 9 rows


@pytest.mark.parametrize("step", [1, 5, 14])
@pytest.mark.parametrize("every", [2, 100])
def test_a_fault_in_the_optimizers_step_goes_back_and_is_bit_equal(step: int, every: int) -> None:
    recipe = {"train.snapshot_every": every}
    whole = fit(dropping, recipe=recipe)

    with memory_faults(places=("step",), passes=(step,)) as faults:
        run = fit(dropping, recipe=recipe)

    assert faults.raised == [("step", step)]
    assert torch.equal(weights(run), weights(whole))
    assert same(run.signals.read("loss"), whole.signals.read("loss"))
    assert events(run)[0]["change"]["from"] == step - 1


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_a_healthy_run_is_bit_equal_with_and_without_recovery(precision: str) -> None:
    recipe = {"train.precision": precision, "run.watch": True, "train.snapshot_every": 4, "train.epochs": 2}

    on = fit(dropping, recipe=recipe)
    off = fit(dropping, recipe={**recipe, "train.recover": "off"})

    assert torch.equal(weights(on), weights(off))
    assert same(on.signals.read("loss"), off.signals.read("loss"))
    assert events(on) == []


def test_in_single_precision_one_update_differs_by_rounding_alone() -> None:
    def step(rows: int | None, model: nn.Module) -> Tensor:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        update = Update(model, optimizer, losses.build("cross_entropy", kind="multiclass"), Precision("fp32", cpu))
        update.cutting = Cutting()
        update.cutting.rows = rows
        update(State(model=model, optimizer=optimizer), (batch,), lambda state, gradient: True)
        return torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])

    cpu, inputs = torch.device("cpu"), torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    batch = Batch(inputs, (inputs[:, 0] > 0).long(), None, 64)
    changes = []
    for rows in (None, 32, 7, 1):
        torch.manual_seed(0)
        changes.append(step(rows, dropping()))

    for other in changes[1:]:
        assert (other - changes[0]).norm() / changes[0].norm() < 1e-6


def test_where_sums_are_exact_parts_are_bit_equal_to_the_whole() -> None:
    inputs = torch.tensor([[1.0, -2.0], [0.5, 4.0], [-1.0, 0.25], [2.0, 8.0]])
    batch = Batch(inputs, torch.tensor([[1.0], [-1.0], [2.0], [0.5]]), None, 4)

    def gradient(rows: int | None) -> Tensor:
        model = nn.Linear(2, 1)
        with torch.no_grad():
            model.weight.fill_(0.5)
            model.bias.fill_(0.25)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        update = Update(model, optimizer, losses.adopt(nn.MSELoss()), Precision("fp32", torch.device("cpu")))
        update.cutting = Cutting()
        update.cutting.rows = rows
        update(State(model=model, optimizer=optimizer), (batch,), lambda state, gradient: True)
        assert model.weight.grad is not None
        return model.weight.grad.clone()

    assert torch.equal(gradient(2), gradient(None))
    assert torch.equal(gradient(1), gradient(None))


def test_simulated_bytes_find_the_size_that_fits(whole: dict[str, Any]) -> None:
    with memory_faults(bytes=8 * 40 * 6, places=("forward",)) as faults:  # 34 outputs a row in double precision
        run = fit(plain)

    assert {count for _, count in faults.raised} <= {16, 8}
    assert apart(run, whole["plain"]) < 1e-9
    assert events(run)[-1]["change"]["rows"] == 4 or events(run)[-1]["change"]["rows"] == 8


def test_the_size_grows_back_and_a_run_that_pauses_goes_on_the_same(tmp_path: Path) -> None:
    recipe = {"train.epochs": 20}

    def go(**more: Any) -> Any:
        with memory_faults(rows=4, places=("forward",), passes=(3, 4), most=2):
            return fit(dropping, recipe=recipe, **more)

    whole = go(folder=tmp_path / "whole")
    go(folder=tmp_path / "cut", until="40 steps")
    cut_short = fit(dropping, recipe=recipe, folder=tmp_path / "cut", resume=True)

    sizes = [row["change"]["rows"] for row in events(whole)]
    assert sizes == [8, 4, 8, None]
    assert [row["change"]["rows"] for row in events(cut_short)] == sizes
    assert torch.equal(weights(cut_short), weights(whole))


def test_trials_of_a_larger_size_are_bounded_and_ever_rarer() -> None:
    room, trials, since = Room(), [], 0
    room.halve(16)
    for _ in range(200_000):
        since += 1
        if room.used():
            trials.append(since)
            since = 0
            room.halve(16)

    assert trials == [WAIT, 4 * WAIT, 16 * WAIT, 64 * WAIT][:TRIALS]
    assert room.rows == 8


def test_a_loss_that_compares_rows_refuses_parts_with_a_sentence() -> None:
    def contrast(outputs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs @ outputs.T, torch.arange(len(outputs)))

    with (
        memory_faults(rows=8, places=("forward",)),
        pytest.raises(DeviceError, match=r"ran out of memory .* compares the rows of a batch .*in this order: "),
    ):
        fit(loss=contrast)


def test_a_model_that_mixes_rows_refuses_parts() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain()

        def forward(self, inputs: Tensor) -> Tensor:
            return self.net(inputs - inputs.mean(0))  # type: ignore[no-any-return]

    with memory_faults(rows=8, places=("forward",)), pytest.raises(DeviceError, match="mixes the rows of a batch"):
        fit(Mixing)


def test_batch_norm_is_told_of_and_its_statistics_do_not_count_twice() -> None:
    with memory_faults(rows=8, places=("backward",), passes=(3,), most=1):
        run = fit(normed, recipe={"train.epochs": 1})

    told = [finding for finding in run.findings if finding.fault == "memory.oom"]
    assert len(told) == 1
    assert "batch norm takes its mean and variance from each part" in told[0].because
    assert int(run.model[1].num_batches_tracked) in (7 + 4, 7 + 5)  # 7 updates, those after the fault in two parts


def test_a_single_row_that_does_not_fit_ends_the_run_with_the_ladder() -> None:
    with memory_faults(rows=0, places=("forward",)) as faults, pytest.raises(DeviceError) as caught:
        fit()

    assert "a single row does not fit" in str(caught.value)
    assert "checkpoint activations" in str(caught.value)
    assert len(faults.raised) == 5  # 16, 8, 4, 2, 1


def test_switched_off_the_run_ends_as_it_always_did() -> None:
    with memory_faults(rows=8, places=("forward",)), pytest.raises(DeviceError, match=r"halve train\.batch_size"):
        fit(recipe={"train.recover": "off"})


def test_offers_name_what_they_change() -> None:
    with memory_faults(rows=8, places=("forward",)):
        run = fit(Recurrent, texts)

    (told,) = [finding for finding in run.findings if finding.fault == "memory.oom"]
    changes = [dict(remedy.change) for remedy in told.remedies]
    assert changes[0] == {"train.batch_size": 8, "train.accumulate": 2}
    assert {"train.precision": "fp32"} in changes
    assert {"data.max_seq_len": 3} in changes
    assert all(remedy.text("zh") != remedy.text("en") for remedy in told.remedies)


def test_graphs_that_are_kept_come_first_among_the_offers() -> None:
    kept: list[Tensor] = []

    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        kept.append(nn.functional.cross_entropy(outputs, target))
        return kept[-1]

    with memory_faults(rows=8, places=("forward",), passes=(12,)):
        run = fit(loss=loss, kind="multiclass")

    (told,) = [finding for finding in run.findings if finding.fault == "memory.oom"]
    assert told.remedies[0].title == "recovery.do_detach"
    assert told.remedies[0].values["tensors"] >= 10


def test_rows_are_cut_evenly_and_nothing_is_lost() -> None:
    batch = Batch({"x": torch.arange(10), "n": torch.tensor(3)}, torch.arange(10), torch.ones(10), 10)

    parts = cut(batch, 4)

    assert [part.size for part in parts] == [3, 3, 4]
    assert torch.equal(torch.cat([part.inputs["x"] for part in parts]), batch.inputs["x"])
    assert all(int(part.inputs["n"]) == 3 for part in parts)
