"""Schedules from torch's schedulers: the same rates, as a function of the step."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tunesmith.blocks.schedules.imports.plateau import ImportedPlateau, imported_plateau
from tunesmith.blocks.schedules.imports.rule import RULES, Curve, Replayed, Rule, known, rule, unknown
from tunesmith.records import RecipeError

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler

RULES.load(__path__, __name__)


@dataclass(frozen=True, slots=True)
class Group:
    """The curve of one parameter group: `rate(t)` is its learning rate, `momentum(t)` its momentum, if it is cycled."""

    peak: float  # the rate that counts as factor 1
    rate: Curve
    momentum: Curve | None


@dataclass(frozen=True, slots=True)
class Imported:
    """A schedule with the rates of a scheduler of torch: a factor on `peak`, the highest rate of a cycle, else the first.

    `stood` is the step at which the scheduler was read: go on with `schedule(stood)`, `schedule(stood + 1)`, …
    """

    groups: tuple[Group, ...]
    stood: int
    chosen: int = 0

    @property
    def peak(self) -> float:
        """The rate that counts as factor 1."""
        return self.peaks[self.chosen]

    @property
    def peaks(self) -> tuple[float, ...]:
        """Of every parameter group."""
        return tuple(one.peak for one in self.groups)

    @property
    def momentum(self) -> Curve | None:
        """The momentum, or the first beta, as a function of the step; None where torch leaves it alone."""
        return self.groups[self.chosen].momentum

    def __call__(self, step: int) -> float:
        return self.rate(step) / self.peak

    def rate(self, step: int) -> float:
        """The learning rate after `step` updates."""
        return self.groups[self.chosen].rate(step)

    def of_group(self, group: int) -> "Imported":
        """The schedule of another parameter group."""
        return replace(self, chosen=group)


def from_torch(
    scheduler: "LRScheduler", *, group: int | None = None, watches: str | None = None
) -> Imported | ImportedPlateau:
    """t -> rate(t) / peak, the rates being those of `scheduler` after t calls of its `step()`, from 0 on.

    Every class of `torch.optim.lr_scheduler` and `SWALR`, also one that stands in the middle of its run; chains are
    followed move by move. `peak` is the group's initial rate, for cycles their `max_lr`. Two curves differ from torch's
    on purpose: OneCycleLR keeps its last rate from `total_steps` - 1 on (torch rises once more, then raises), and
    CosineAnnealingWarmRestarts is right at its restarts where torch, told to jump to one, gives the lowest rate.

    ReduceLROnPlateau gives a schedule that listens: `schedule(step, history)`, one entry of the history a call of
    `step(metric)`; `watches` names the value, by default "val_loss" for the mode min and "score" for max. One that was
    stepped before goes on from where it stands: the history is what is found from then on.

    `group` is needed where the parameter groups have different curves of factors. Raises `RecipeError` for that, and
    for a class whose curve is not known.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> schedule = from_torch(torch.optim.lr_scheduler.StepLR(optimizer, 10))
    >>> [round(schedule.rate(step), 4) for step in (0, 9, 10, 20)], schedule(9)
    ([0.1, 0.1, 0.01, 0.001], 1.0)
    """
    if not known(scheduler):
        raise unknown(scheduler)
    count = len(scheduler.optimizer.param_groups)
    if group is not None and not 0 <= group < count:
        raise RecipeError(f"group = {group!r}: the optimizer has {count} parameter groups, 0 to {count - 1}")
    if known(scheduler) == "ReduceLROnPlateau":
        return imported_plateau(scheduler, group, watches)
    if watches is not None:
        raise RecipeError(f"watches = {watches!r}: {type(scheduler).__name__} goes by the step alone; leave it out")
    rules = [rule(scheduler, i) for i in range(count)]
    if group is None and not all(alike(one.shape, rules[0].shape) for one in rules[1:]):
        raise RecipeError(
            f"the {count} parameter groups have different curves; say which is meant, with group=0 to {count - 1}"
        )
    curves = tuple(Group(one.peak, _alone(one, scheduler, i), one.momentum) for i, one in enumerate(rules))
    return Imported(curves, stands(scheduler), group or 0)


def _alone(rule: Rule, scheduler: Any, i: int) -> Curve:
    if rule.at is not None:
        return rule.at
    base = float(scheduler.optimizer.param_groups[i]["initial_lr"])
    return Replayed(lambda: rule.start(base), rule.advance)


def stands(scheduler: Any) -> int:
    """How often a scheduler was stepped."""
    if known(scheduler) != "ChainedScheduler":
        return int(scheduler.last_epoch)
    found = {stands(part) for part in scheduler._schedulers}
    if len(found) > 1:
        raise RecipeError(
            f"the parts of the ChainedScheduler stand at different steps, {sorted(found)}; step them together"
        )
    return found.pop()


def alike(one: Any, other: Any) -> bool:
    """Whether two shapes are the same but for the rounding of their numbers."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-12)
    return one is other or bool(one == other)
