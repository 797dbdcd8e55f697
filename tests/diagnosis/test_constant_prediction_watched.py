"""collapse.constant_prediction in live trainings, of a classifier and of a tagger, planted and sound; in a loop of one's own and in `fit`."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import tunesmith as ts
from tunesmith.reports import QuietDisplay

FAULT = "collapse.constant_prediction"
CLASSES, TOKENS, LENGTH = 5, 30, 12


def asleep(layer: nn.Linear) -> nn.Linear:
    """No unit of it is ever active: what follows knows nothing of the inputs."""
    nn.init.constant_(layer.bias, -50.0)
    return layer


def classifier(sick: bool, width: int = 10, classes: int = CLASSES) -> nn.Module:
    torch.manual_seed(0)
    first = nn.Linear(width, 32)
    return nn.Sequential(asleep(first) if sick else first, nn.ReLU(), nn.Linear(32, classes))


class Tagger(nn.Module):
    """A label for each token: logits (rows, tokens, classes)."""

    def __init__(self, sick: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.hidden, self.head = nn.Embedding(TOKENS, 16), nn.Linear(16, 32), nn.Linear(32, CLASSES)
        if sick:
            asleep(self.hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(functional.relu(self.hidden(self.words(tokens))))
        return logits


def rows(count: int = 1500, common: float = 0.0) -> tuple[Tensor, Tensor]:
    """Rows with a label that they tell; a share `common` of the labels is 0 instead, whatever the row says."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 10, generator=generator)
    y = (x @ torch.randn(10, CLASSES, generator=generator)).argmax(1)
    y[torch.rand(count, generator=generator) < common] = 0
    return x, y


def sentences(common: float = 0.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, TOKENS, (400, LENGTH), generator=generator)
    y = x % CLASSES
    y[torch.rand(y.shape, generator=generator) < common] = 0
    return x, y


def told(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    updates: int = 120,
    rate: float = 1e-2,
    loss_fn: Any = None,
) -> set[str]:
    """What a watch says while the loop goes on."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    draws = torch.Generator().manual_seed(0)
    with ts.watch(model, optimizer, loss_fn=loss_fn, quiet=True, overhead=0.9) as watch:
        for _ in range(updates):
            index = torch.randint(0, len(data[0]), (32,), generator=draws)
            value = loss(model(data[0][index]), data[1][index])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            watch.step(value)
        return {finding.fault for finding in watch.findings()}


ENTROPY = nn.CrossEntropyLoss()
LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Any]] = {
    "turned": (lambda out, y: functional.cross_entropy(out.transpose(1, 2), y), None),
    "flat": (lambda out, y: functional.cross_entropy(out.reshape(-1, CLASSES), y.reshape(-1)), None),
    "a module, turned": (lambda out, y: ENTROPY(out.transpose(1, 2), y), ENTROPY),
    "log probabilities": (
        lambda out, y: functional.nll_loss(functional.log_softmax(out, dim=-1).transpose(1, 2), y),
        None,
    ),
}


@pytest.mark.parametrize("common", [0.0, 0.5])
def test_a_classifier_that_is_asleep_is_told(common: float) -> None:
    assert FAULT in told(classifier(True), rows(common=common), functional.cross_entropy)


@pytest.mark.parametrize("common", [0.0, 0.5])
@pytest.mark.parametrize("form", LOSSES)
def test_a_tagger_that_is_asleep_is_told(form: str, common: float) -> None:
    loss, module = LOSSES[form]

    assert FAULT in told(Tagger(True), sentences(common), loss, loss_fn=module)


@pytest.mark.parametrize("form", LOSSES)
def test_a_tagger_that_learns_is_not(form: str) -> None:
    loss, module = LOSSES[form]

    assert FAULT not in told(Tagger(False), sentences(), loss, loss_fn=module)


@pytest.mark.parametrize("seed", range(3))
def test_where_the_constant_answer_is_nearly_right_it_is_no_collapse(seed: int) -> None:
    """99 labels of 100 are one class: nothing, and something, to learn of the others."""
    x, _ = rows()
    chance = (torch.rand(len(x), generator=torch.Generator().manual_seed(seed)) < 0.01).long()
    rare = (x[:, seed] > x[:, seed].quantile(0.99)).long()

    assert FAULT not in told(classifier(False, classes=2), (x, chance), functional.cross_entropy)
    assert FAULT not in told(classifier(False, classes=2), (x, rare), functional.cross_entropy)


def test_the_first_updates_of_a_slow_run_are_no_collapse() -> None:
    """At a small rate the common class is answered first; what comes later is not known yet."""
    data = rows(common=0.6)

    assert FAULT not in told(classifier(False), data, functional.cross_entropy, updates=60, rate=1e-3)
    assert FAULT not in told(classifier(False), rows(), functional.cross_entropy)


@pytest.mark.parametrize("sick", [True, False])
def test_fit_tells_it_too(sick: bool) -> None:
    x, y = (one.numpy() for one in rows(common=0.4))
    task = ts.Task(model=classifier(sick), train=(x, y), loss="cross_entropy", kind="multiclass")

    run = ts.fit(
        task,
        {"train.epochs": 6, "train.batch_size": 32, "optim.lr": 1e-2, "run.overhead": 0.9},
        display=QuietDisplay(),
    )

    assert (FAULT in {one.fault for one in run.findings}) == sick
