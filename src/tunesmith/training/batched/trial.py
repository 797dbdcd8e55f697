"""One trial of a group: what may differ between the nets of a stack, and what is told of each after an epoch."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from torch import nn

from tunesmith.records import RecipeError


def constant(step: int) -> float:
    """The schedule of a trial that names none: factor 1."""
    return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedTrial:
    """The settings of one net of a group. Raises `RecipeError` for a value outside its range.

    Defaults are those of torch's optimizers where they have one. What an optimizer has no use for is left aside.
    """

    id: Hashable
    lr: float
    seed: int = 0  # of the initial weights, the dropout that follows them, and the order of the data
    weight_decay: float = 0.0
    momentum: float = 0.0  # sgd, rmsprop
    beta1: float = 0.9  # adam, adamw
    beta2: float = 0.999
    alpha: float = 0.99  # rmsprop: weight of the past squares
    eps: float = 1e-8
    clip_norm: float | None = None  # largest norm of the gradient of this trial
    schedule: Callable[[int], float] = constant  # factor of `lr` by the updates already made
    model: Callable[[], nn.Module] | None = None  # in place of the group's: the same net with another dropout rate

    def __post_init__(self) -> None:
        for name in ("lr", "weight_decay", "momentum"):
            self._check(name, lowest=0.0, highest=math.inf)
        for name in ("beta1", "beta2", "alpha"):
            self._check(name, lowest=0.0, highest=1.0)
        self._check("eps", lowest=0.0, highest=math.inf)
        if self.clip_norm is not None:
            self._check("clip_norm", lowest=0.0, highest=math.inf)

    def _check(self, name: str, *, lowest: float, highest: float) -> None:
        value = getattr(self, name)
        if not lowest <= value < highest:
            raise RecipeError(
                f"trial {self.id!r} has {name} = {value}; expected a number from {lowest:g} to below {highest:g}; "
                f"set {name} to one"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """What one trial reached in one epoch. `train_loss` is the mean over the rows as they were trained, as is `val_loss`.

    `failed_at` is the number of the update, from 1, whose loss was the first that was not finite, or that left weights that
    are not finite. Such a trial has left the group.
    """

    trial: Hashable
    epoch: int
    step: int  # updates made
    train_loss: float
    val_loss: float | None = None
    val_accuracy: float | None = None  # of cross entropy, and of binary cross entropy at a probability of 0.5
    failed_at: int | None = None


def check_ids(trials: Sequence[BatchedTrial]) -> None:
    """Raises `RecipeError` where there is no trial, or two have one id."""
    if not trials:
        raise RecipeError("a group without trials cannot be trained; pass at least one BatchedTrial")
    twice = [repr(one) for one, count in Counter(trial.id for trial in trials).items() if count > 1]
    if twice:
        raise RecipeError(f"several trials of the group have the id {', '.join(twice)}; give each its own")
