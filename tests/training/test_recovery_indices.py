"""Labels and indices out of range are told before a device sees them; what breaks inside a kernel is named by the CPU."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tunesmith as ts
from tunesmith.blocks import losses
from tunesmith.records import DataError, DeviceError
from tunesmith.records.state import State
from tunesmith.reports import QuietDisplay
from tunesmith.training.batch import Batch
from tunesmith.training.feeds import LoaderFeed
from tunesmith.training.precision import Precision
from tunesmith.training.recovery.bounds import Bounds
from tunesmith.training.recovery.on_the_cpu import broken_on_the_cpu, on_cpu
from tunesmith.training.update import Update

ROWS = 64


class Words(nn.Module):
    """A table of 20 words; on demand its kernel fails as one of a GPU does."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 4)
        self.head = nn.Linear(4, 3)
        self.fails = fails

    def forward(self, tokens: Tensor) -> Tensor:
        if self.fails and self.training and int(tokens.max()) >= 20:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return self.head(self.table(tokens).mean(1))  # type: ignore[no-any-return]


def data(token: int = 5, label: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens, labels = torch.randint(0, 20, (ROWS, 6), generator=generator), torch.arange(ROWS) % 3
    tokens[37, 2], labels[50] = token, label
    return tokens, labels


def fit(model: Any, given: tuple[Tensor, Tensor], **recipe: Any) -> Any:
    task = ts.Task(lambda: model, train=DataLoader(TensorDataset(*given), batch_size=16))
    return ts.fit(task, {"train.epochs": 1, "run.watch": False, **recipe}, display=QuietDisplay())


def test_an_index_beyond_its_table_names_number_row_and_table() -> None:
    with pytest.raises(DataError, match=r"beyond an embedding table: 27 in row 5 of the batch .* 20 rows"):
        fit(Words(), data(token=27))


def test_in_the_first_pass_too() -> None:
    tokens, labels = data()
    tokens[3, 0] = 40

    with pytest.raises(DataError, match=r"first pass .* beyond an embedding table: 40 where 'table' has 20 rows"):
        fit(Words(), (tokens, labels))


def test_a_label_without_an_output_names_its_row() -> None:
    with pytest.raises(DataError, match=r"met label 7, which the model has no output for, in row 2 of the batch"):
        fit(Words(), data(label=7))


def test_an_assertion_inside_a_kernel_is_named_by_the_cpu() -> None:
    with pytest.raises(DeviceError, match=r"inside a kernel .*run again on the CPU, the batch fails in .*device-side"):
        fit(Words(fails=True), data(token=27))


def update(model: nn.Module) -> Update:
    loss = losses.build("cross_entropy", kind="multiclass")
    return Update(model, torch.optim.SGD(model.parameters(), lr=0.1), loss, Precision("fp32", torch.device("cpu")))


def test_the_operation_and_its_module_are_named() -> None:
    model = Words()
    weights = model.state_dict()
    tokens, labels = data(token=27)
    beyond, sound = Batch(tokens, labels, None, ROWS), Batch(*data(), None, ROWS)
    labelled = Batch(*data(label=7), None, ROWS)

    assert "embedding of module 'table' (Embedding)" in broken_on_the_cpu(update(model), weights, (beyond,))
    assert "inputs hold 0 to 27" in broken_on_the_cpu(update(model), weights, (beyond,))
    assert "nll_loss" in (said := broken_on_the_cpu(update(model), weights, (sound, labelled)))
    assert "of the loss" in said
    assert "micro-batch 2 of 2" in said
    assert broken_on_the_cpu(update(model), weights, (sound,)) == ""


def test_the_copy_on_the_cpu_reads_nothing_of_the_model() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).to("meta")  # nothing there can be read
    weights = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).state_dict()

    copied = on_cpu(model, weights)

    assert all(torch.equal(value, weights[name]) for name, value in copied.state_dict().items())


@pytest.mark.parametrize("target", [torch.arange(ROWS) % 3, torch.full((ROWS,), -100)], ids=["labels", "ignored"])
def test_what_is_in_range_passes(target: Tensor) -> None:
    Bounds(3, -100, {"the input": 20}).check(Batch(data()[0], target, None, ROWS), "here")
    Bounds(None, -100, {}).check(Batch(data()[0] + 100, target + 9, None, ROWS), "here")


def test_a_loader_is_looked_at_before_its_batch_goes_to_a_device() -> None:
    loader = DataLoader(TensorDataset(*data(label=7)), batch_size=ROWS)
    feed = LoaderFeed(loader, device=torch.device("meta"), dtype=torch.float32, accumulate=1)  # any device but the CPU
    feed.bounds = Bounds(3, -100, {"the input": 20})
    model = Words()
    state = State(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    feed.start(state)

    with pytest.raises(DataError, match="batch 1 of epoch 1 met label 7"):
        feed.window(state)


def test_a_loss_of_ones_own_may_take_labels_beyond_the_outputs() -> None:
    tokens, labels = data(label=7)
    task = ts.Task(
        lambda: Words(),
        train=DataLoader(TensorDataset(tokens, labels), batch_size=16),
        loss=lambda outputs, target: (outputs.sum(1) - target).square().mean(),
        kind="multiclass",
    )

    run = ts.fit(task, {"train.epochs": 1, "run.watch": False}, display=QuietDisplay())

    assert run.status == "finished"
