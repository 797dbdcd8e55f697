"""One trial alone: the plain loop in torch that a group is measured against, with torch's fastest optimizer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tunesmith.records import UnknownName, did_you_mean
from tunesmith.training.batched.trial import BatchedTrial

Optimizer = torch.optim.Optimizer


def sgd(parameters: list[nn.Parameter], trial: BatchedTrial) -> Optimizer:
    return torch.optim.SGD(
        parameters, lr=trial.lr, momentum=trial.momentum, weight_decay=trial.weight_decay, fused=True
    )


def nesterov(parameters: list[nn.Parameter], trial: BatchedTrial) -> Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=trial.lr,
        momentum=trial.momentum,
        weight_decay=trial.weight_decay,
        nesterov=trial.momentum > 0,  # torch refuses it without momentum, where it is the same
        fused=True,
    )


def adam(parameters: list[nn.Parameter], trial: BatchedTrial) -> Optimizer:
    betas = (trial.beta1, trial.beta2)
    return torch.optim.Adam(
        parameters, lr=trial.lr, betas=betas, eps=trial.eps, weight_decay=trial.weight_decay, fused=True
    )


def adamw(parameters: list[nn.Parameter], trial: BatchedTrial) -> Optimizer:
    betas = (trial.beta1, trial.beta2)
    return torch.optim.AdamW(
        parameters, lr=trial.lr, betas=betas, eps=trial.eps, weight_decay=trial.weight_decay, fused=True
    )


def rmsprop(parameters: list[nn.Parameter], trial: BatchedTrial) -> Optimizer:
    """It has no fused kernel."""
    return torch.optim.RMSprop(
        parameters,
        lr=trial.lr,
        alpha=trial.alpha,
        eps=trial.eps,
        weight_decay=trial.weight_decay,
        momentum=trial.momentum,
    )


MADE: dict[str, Callable[[list[nn.Parameter], BatchedTrial], Optimizer]] = {
    "sgd": sgd,
    "nesterov": nesterov,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
}


class Alone:
    """A net with its loss and optimizer; `update` makes one step on a batch (n, …)."""

    def __init__(self, model: nn.Module, trial: BatchedTrial, loss: nn.Module, optimizer: str) -> None:
        if optimizer not in MADE:
            raise UnknownName(f"no optimizer called {optimizer!r}{did_you_mean(optimizer, MADE)}")
        self.model = model.train()
        self.trial = trial
        self.loss = loss
        self.parameters = [one for one in model.parameters() if one.requires_grad]
        self.optimizer = MADE[optimizer](self.parameters, trial)
        self.step = 0

    def update(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss before the step, ()."""
        rate = self.trial.lr * self.trial.schedule(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss: Tensor = self.loss(self.model(x), y)
        torch.autograd.backward(loss)
        if self.trial.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.trial.clip_norm)
        self.optimizer.step()
        self.step += 1
        return loss.detach()
