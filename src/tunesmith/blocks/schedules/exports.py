"""A schedule as a scheduler of torch, for anybody's own loop."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.history import Judged, factor_at, momentum_of, watches_of
from tunesmith.records import RecipeError

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def to_torch(
    schedule: Schedule,
    optimizer: "Optimizer",
    *,
    peak: float | Sequence[float] | None = None,
    step: int = 0,
    momentum: bool = True,
) -> "LRScheduler":
    """A scheduler of torch that sets `group["lr"]` = peak × schedule(t), t being the updates made: `step()` after each.

    The rate of the first update is set at once. `peak` is the rate of factor 1, one number or one a group; None takes
    the peaks that a schedule `from_torch` brings, else the rates that the optimizer was made with, so groups keep their
    ratio. `step` is how many updates are made already. A schedule that cycles the momentum sets it too, or the first
    beta; `momentum=False` leaves it. One that listens is told each evaluation with `step(metric)`, which counts no
    update. `state_dict` holds plain numbers; the schedule itself is given again before `load_state_dict`.

    Raises `RecipeError` for a momentum that the optimizer has not, and for as many peaks as there are no groups.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = to_torch(lambda step: 1 / (1 + step), optimizer)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> [round(rate, 4) for rate in scheduler.get_last_lr()]
    [0.1667]
    """
    made: LRScheduler = scheduler_class()(optimizer, schedule, peak=peak, step=step, momentum=momentum)
    return made


def __getattr__(name: str) -> Any:  # a pickled scheduler names its class, which is made when it is first needed
    if name == "Scheduler":
        return scheduler_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def scheduler_class() -> Any:
    """The class; made here since this room does without torch."""
    from torch.optim.lr_scheduler import LRScheduler

    class Scheduler(LRScheduler):
        """`group["lr"]` = `base_lrs` × schedule(`last_epoch`); `last_epoch` counts updates."""

        def __init__(
            self,
            optimizer: "Optimizer",
            schedule: Schedule,
            *,
            peak: float | Sequence[float] | None = None,
            step: int = 0,
            momentum: bool = True,
        ) -> None:
            groups = optimizer.param_groups
            self.schedules = by_group(schedule, len(groups))
            self.history: list[Judged] = []
            self.moves_momentum = momentum and momentum_of(schedule) is not None
            if self.moves_momentum:
                require_momentum(optimizer)
            for group, rate in zip(groups, peaks(schedule, groups, peak), strict=True):
                group["initial_lr"] = rate
            super().__init__(optimizer, step - 1)

        def get_lr(self) -> Any:
            groups = self.optimizer.param_groups
            for group in groups[len(self.base_lrs) :]:  # one that was added since goes as the last
                self.base_lrs.append(group.setdefault("initial_lr", copied(group["lr"])))
                self.schedules.append(self.schedules[-1])
            if self.moves_momentum:
                for group, schedule in zip(groups, self.schedules, strict=True):
                    set_momentum(group, schedule, self.last_epoch)
            parts = zip(self.base_lrs, self.schedules, strict=True)
            return [base * factor_at(schedule, self.last_epoch, self.history) for base, schedule in parts]

        def step(self, metric: Any = None, *, noise: float = 0.0, name: str = "") -> None:
            """One update was made; with a `metric`, an evaluation was, and no update is counted."""
            if metric is None:
                super().step()
                return
            if not watches_of(self.schedules[0]):
                raise RecipeError(
                    f"step({metric!r}): this schedule listens to no metric; call step() once after every update"
                )
            self.history.append(Judged(self.last_epoch, float(metric), noise, name))
            self.set_rates()

        def set_rates(self) -> None:
            """Puts the rates of now into the optimizer."""
            for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
                if hasattr(group["lr"], "fill_"):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
            self._last_lr = [copied(group["lr"]) for group in self.optimizer.param_groups]

        def state_dict(self) -> dict[str, Any]:
            held = {key: value for key, value in vars(self).items() if key not in ("optimizer", "schedules")}
            return held | {"history": [tuple(one) for one in self.history], "base_lrs": list(self.base_lrs)}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Goes on where the other stood; the optimizer's rates are set to those of that update."""
            vars(self).update(state_dict)
            self.history = [Judged(*one) for one in state_dict["history"]]
            self.base_lrs = list(state_dict["base_lrs"])
            self.set_rates()

    Scheduler.__qualname__, Scheduler.__module__ = "Scheduler", __name__
    return Scheduler


def by_group(schedule: Schedule, count: int) -> list[Schedule]:
    """The schedule of each parameter group: one for all, or those that were imported together."""
    own = getattr(schedule, "of_group", None)
    if own is None or len(schedule.peaks) != count:  # type: ignore[attr-defined]
        return [schedule] * count
    return [own(i) for i in range(count)]


def peaks(schedule: Schedule, groups: Sequence[dict[str, Any]], given: float | Sequence[float] | None) -> list[Any]:
    """The rate of factor 1 of each group."""
    own: Sequence[float] = getattr(schedule, "peaks", ())
    if given is None:
        brought = [own[0]] * len(groups) if len(own) == 1 else list(own)
        return brought if len(brought) == len(groups) else [one.get("initial_lr", copied(one["lr"])) for one in groups]
    listed = [given] * len(groups) if isinstance(given, int | float) else list(given)
    if len(listed) != len(groups):
        raise RecipeError(
            f"peak = {given!r}: the optimizer has {len(groups)} parameter groups; give one rate, or one a group"
        )
    return [float(one) for one in listed]


def copied(rate: Any) -> Any:
    """A rate that does not change with the optimizer's, where that is a tensor."""
    return rate.clone() if hasattr(rate, "clone") else rate


def require_momentum(optimizer: "Optimizer") -> None:
    if not any("momentum" in group or "betas" in group for group in optimizer.param_groups):
        raise RecipeError(
            f"the schedule cycles the momentum, and {type(optimizer).__name__} has none; pass momentum=False, or take an "
            "optimizer with momentum or betas"
        )


def set_momentum(group: dict[str, Any], schedule: Schedule, step: int) -> None:
    """The momentum of now, or the first beta, into a group that has one."""
    curve = momentum_of(schedule)
    if curve is None:
        return
    if "momentum" in group:
        group["momentum"] = float(curve(step))
    elif "betas" in group:
        group["betas"] = (float(curve(step)), *group["betas"][1:])
