"""What a group is held against: an ordinary loop over one net, with torch's own optimizers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.optim import without_compiler
from tunesmith.training.batched import BatchedTrial, Group, train_batched


def optimizer_of(name: str, model: nn.Module, trial: BatchedTrial) -> torch.optim.Optimizer:
    shared: dict[str, Any] = {"lr": trial.lr, "weight_decay": trial.weight_decay}
    betas = {"betas": (trial.beta1, trial.beta2), "eps": trial.eps}
    match name:
        case "sgd":
            return torch.optim.SGD(model.parameters(), momentum=trial.momentum, **shared)
        case "nesterov":
            return torch.optim.SGD(model.parameters(), momentum=trial.momentum, nesterov=trial.momentum > 0, **shared)
        case "adam":
            return torch.optim.Adam(model.parameters(), **betas, **shared)
        case "adamw":
            return torch.optim.AdamW(model.parameters(), **betas, **shared)
        case _:
            return torch.optim.RMSprop(
                model.parameters(), alpha=trial.alpha, eps=trial.eps, momentum=trial.momentum, **shared
            )


def trained_alone(
    make_model: Callable[[], nn.Module],
    trial: BatchedTrial,
    X: Tensor,
    y: Tensor,
    *,
    loss: nn.Module,
    batch_size: int,
    epochs: int,
    optimizer: str = "adamw",
) -> tuple[nn.Module, list[list[float]]]:
    """The trained net, and the loss of each step of each epoch."""
    torch.manual_seed(trial.seed)
    model = (trial.model or make_model)()
    with without_compiler():  # spares the tests its import
        stepper = optimizer_of(optimizer, model, trial)
    (group,) = stepper.param_groups
    step = 0
    orders = torch.Generator().manual_seed(trial.seed)
    model.train()
    told = []
    for _ in range(epochs):
        losses = []
        for index in torch.randperm(len(X), generator=orders).split(batch_size):
            group["lr"] = trial.lr * trial.schedule(step)
            step += 1
            stepper.zero_grad()
            found = loss(model(X[index]), y[index])
            found.backward()
            if trial.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), trial.clip_norm)
            stepper.step()
            losses.append(found.item())
        told.append(losses)
    return model, told


def distance(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference of an entry."""
    assert list(found) == list(expected)
    return max(float((found[name].double() - expected[name].double()).abs().max()) for name in expected)


def relative(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """‖found - expected‖ / ‖expected‖, all weights taken as one vector."""
    one, other = (torch.cat([value.double().reshape(-1) for value in each.values()]) for each in (found, expected))
    return float((one - other).norm() / other.norm())


def compared(
    make_model: Callable[[], nn.Module],
    trials: Sequence[BatchedTrial],
    X: Tensor,
    y: Tensor,
    *,
    loss: nn.Module,
    measure: Callable[[dict[str, Tensor], dict[str, Tensor]], float] = distance,
    **settings: Any,
) -> tuple[list[float], Group]:
    """How far each trial of a group ends from the same trial alone, and the group."""
    group = train_batched(make_model, trials, X, y, loss=loss, **settings)
    for _ in group:
        pass
    found = []
    for trial in trials:
        model, _ = trained_alone(make_model, trial, X, y, loss=loss, **settings)
        found.append(measure(group.unstack(trial.id), model.state_dict()))
    return found, group
