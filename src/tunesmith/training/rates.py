"""The learning rate of every parameter group at every update: its peak times the schedule's factor; and what goes with it.

A schedule may cycle the momentum against the rate, listen to evaluations, or let the batch grow in place of the decay.
"""

import torch

from tunesmith.blocks.schedules import History, Schedule, factor_at, momentum_of, watches_of
from tunesmith.records.state import State
from tunesmith.training.watching import Hearing


class Rates:
    """Sets `group["lr"] = group["initial_lr"] * factor(t)` before each update, t being the updates made before.

    With `growth`, the effective batch is `growth(t)` times that of the recipe, and t counts the batches of the recipe's
    size that the data have given (`clock`): what grows changes how often is updated, not when the schedule decays.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        factor: Schedule,
        *,
        growth: Schedule | None = None,
        per_epoch: int = 0,
        cycle_momentum: bool = True,
    ) -> None:
        self.optimizer = optimizer
        self.factor = factor
        self.growth = growth
        self.per_epoch = per_epoch  # updates of an epoch at the recipe's batch
        self.momentum = momentum_of(factor) if cycle_momentum else None
        self.watches = watches_of(factor)
        self.hearing = Hearing()

    @property
    def current(self) -> float:
        """The rate of the first group as it stands in the optimizer, which a resume restores."""
        return float(self.optimizer.param_groups[0]["lr"])

    def clock(self, state: State, length: int) -> int:
        """The step the schedule is asked for; `length` is that of an epoch in the unit of `state.position`."""
        if self.growth is None:
            return state.step
        return state.epoch * self.per_epoch + state.position * self.per_epoch // max(length, 1)

    def heard(self, state: State) -> History:
        """What the schedule listens to; nothing for one that does not."""
        return self.hearing(state) if self.watches else ()

    def batches(self, step: int, state: State) -> int:
        """How many times the recipe's batch the update at `step` takes."""
        return 1 if self.growth is None else int(factor_at(self.growth, step, self.heard(state)))

    def set(self, step: int, history: History = ()) -> float:
        """Sets the rates for the update at `step`; gives that of the first group."""
        factor = factor_at(self.factor, step, history) if self.watches else self.factor(step)
        for group in self.optimizer.param_groups:
            rate = group.setdefault("initial_lr", group["lr"]) * factor
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        if self.momentum is not None:
            self._set_momentum(factor_at(self.momentum, step))
        return self.current

    def _set_momentum(self, value: float) -> None:
        """The momentum of SGD, or the first beta of Adam, as torch's cyclic schedulers do it."""
        for group in self.optimizer.param_groups:
            if "momentum" in group:
                group["momentum"] = value
            elif "betas" in group:
                group["betas"] = (value, *group["betas"][1:])

    def rescale(self, peak: float) -> None:
        """A new peak, of which the first group has its factor (`rate`); the others keep their ratio to it."""
        first = self.optimizer.param_groups[0]
        ratio = peak * first.get("rate", 1.0) / first.setdefault("initial_lr", first["lr"])
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group.setdefault("initial_lr", group["lr"]) * ratio


def holds_momentum(group: dict[str, object]) -> bool:
    """Whether a parameter group has a momentum that can be cycled."""
    return "momentum" in group or "betas" in group
