"""A short training loop under `LoopFacts`, with what a user may do wrong in it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.watcher import Moment
from tunesmith.doctor.probes.watcher_facts import LoopFacts

Data = tuple[Tensor, Tensor]


def net(inputs: int = 4, outputs: int = 3, width: int = 16) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


def classes(rows: int = 320, inputs: int = 4, count: int = 3) -> Data:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(rows, inputs, generator=draw)
    return x, (x @ torch.randn(inputs, count, generator=draw)).argmax(1)


def numbers(rows: int = 320, inputs: int = 4) -> Data:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(rows, inputs, generator=draw)
    return x, x @ torch.randn(inputs, 1, generator=draw)


def plain(model: nn.Module, optimizer: Any, loss_fn: Any, x: Tensor, y: Tensor) -> Tensor:
    """One sound update."""
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def train(
    model: nn.Module,
    loss_fn: Any,
    data: Data,
    *,
    optimizer: Any = None,
    update: Callable[..., Tensor] = plain,
    epochs: int = 3,
    batch: int = 32,
    judge: Callable[[nn.Module], None] | None = None,
    known: bool = True,
    handed: bool = False,
) -> LoopFacts:
    """Trains, and gives the onlooker, closed. `known`: whether it was given the loss, `handed`: the target, too."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.05)
    facts = LoopFacts(model, [optimizer], loss_fn if known else None)
    x, y = data
    step = 0
    try:
        for _ in range(epochs):
            for start in range(0, len(x), batch):
                loss = update(model, optimizer, loss_fn, x[start : start + batch], y[start : start + batch])
                step += 1
                facts(
                    Moment(
                        step=step,
                        loss=loss,
                        model=model,
                        optimizers=[optimizer],
                        target=y[start : start + batch] if handed else None,
                    )
                )
            if judge is not None:
                judge(model)
                facts.judged()
    finally:
        facts.close()
    return facts
