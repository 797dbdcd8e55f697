"""The learning rate of every parameter group at every update: its peak times the schedule's factor."""

from collections.abc import Callable

import torch


class Rates:
    """Sets `group["lr"] = group["initial_lr"] * factor(step)`, step being the updates made before."""

    def __init__(self, optimizer: torch.optim.Optimizer, factor: Callable[[int], float]) -> None:
        self.optimizer = optimizer
        self.factor = factor

    @property
    def current(self) -> float:
        """The rate of the first group as it stands in the optimizer, which a resume restores."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set(self, step: int) -> float:
        """Sets the rates for the update after `step` updates; gives that of the first group."""
        factor = self.factor(step)
        for group in self.optimizer.param_groups:
            rate = group.setdefault("initial_lr", group["lr"]) * factor
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        return self.current

    def rescale(self, peak: float) -> None:
        """A new peak for the first group; the others keep their ratio to it."""
        first = self.optimizer.param_groups[0]
        ratio = peak / first.setdefault("initial_lr", first["lr"])
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group.setdefault("initial_lr", group["lr"]) * ratio
