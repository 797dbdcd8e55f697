"""Schedulers of torch that move between two rates: cosines, cycles, and the way to the rate of weight averaging."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunesmith.blocks.schedules.imports.rule import RULES, Curve, Rule, closed
from tunesmith.records import RecipeError

ANNEAL: dict[str, Callable[[float], float]] = {  # the share of the way that is gone
    "cos": lambda share: (1 - math.cos(math.pi * share)) / 2,
    "linear": lambda share: share,
}


def numbers(scheduler: Any, i: int) -> dict[str, float]:
    """The numbers that a scheduler wrote into a parameter group, as they are now."""
    group = scheduler.optimizer.param_groups[i]
    names = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum")
    return {name: float(group[name]) for name in names if name in group}


@RULES.add("CosineAnnealingLR")
def cosine_annealing_lr(scheduler: Any, i: int) -> Rule:
    """Not cut off at T_max: torch climbs back, period 2 T_max."""
    base, low, length = float(scheduler.base_lrs[i]), float(scheduler.eta_min), scheduler.T_max
    if length == 0:
        raise RecipeError("CosineAnnealingLR has T_max = 0; 1 or more was expected")

    def at(t: float) -> float:
        return low + (base - low) * (1 + math.cos(math.pi * t / length)) / 2

    def advance(rate: float, t: int) -> float:
        if (t - 1 - length) % (2 * length) == 0:  # the turn at the bottom, where the ratio below is 0 / 0
            return rate + (base - low) * (1 - math.cos(math.pi / length)) / 2
        before = 1 + math.cos(math.pi * (t - 1) / length)
        return (1 + math.cos(math.pi * t / length)) / before * (rate - low) + low

    return Rule(
        peak=base or 1.0,
        start=lambda rate: rate,
        reset=lambda rate: at(0),
        advance=advance,
        at=at,
        shape=(length, low / base if base else low),
    )


@RULES.add("CosineAnnealingWarmRestarts")
def warm_restarts(scheduler: Any, i: int) -> Rule:
    """Periods are summed in whole numbers: torch's logarithm lands in the wrong period when it jumps to a restart."""
    base, low = float(scheduler.base_lrs[i]), float(scheduler.eta_min)
    first, growth = scheduler.T_0, scheduler.T_mult

    def at(t: float) -> float:
        length, since = first, t
        if growth == 1:
            since = t % first
        while since >= length:
            since, length = since - length, length * growth
        return low + (base - low) * (1 + math.cos(math.pi * since / length)) / 2

    return closed(base or 1.0, at, first, growth, low / base if base else low)


@RULES.add("CyclicLR")
def cyclic_lr(scheduler: Any, i: int) -> Rule:
    low, high = float(scheduler.base_lrs[i]), float(scheduler.max_lrs[i])
    total, rise = float(scheduler.total_size), float(scheduler.step_ratio)
    by_cycle, scale = scheduler.scale_mode == "cycle", scheduler.scale_fn

    def height(t: float) -> float:
        cycle = math.floor(1 + t / total)
        x = 1.0 + t / total - cycle
        part = x / rise if x <= rise else (x - 1) / (rise - 1)
        return part * float(scale(cycle if by_cycle else t))

    momentum = None
    if scheduler.cycle_momentum:
        least, most = float(scheduler.base_momentums[i]), float(scheduler.max_momentums[i])
        momentum = lambda t: most - (most - least) * height(t)  # noqa: E731
    shape = (total, rise, scheduler.mode, scheduler.gamma, scheduler.scale_mode, scheduler._scale_fn_custom)
    return closed(
        high or 1.0,
        lambda t: low + (high - low) * height(t),
        *shape,
        low / high if high else low,
        momentum=momentum,
    )


@RULES.add("OneCycleLR")
def one_cycle_lr(scheduler: Any, i: int) -> Rule:
    """The last rate stands from `total_steps` - 1 on: torch rises again at `total_steps` and then raises an error."""
    group, last = numbers(scheduler, i), scheduler.total_steps - 1
    gone = ANNEAL[scheduler._anneal_func_type]
    phases: Sequence[Mapping[str, Any]] = scheduler._schedule_phases

    def along(start: str, end: str) -> Curve:
        def at(t: float) -> float:
            left, t = 0.0, min(t, last)
            for n, phase in enumerate(phases):
                right = phase["end_step"]
                if t <= right or n == len(phases) - 1:
                    share = gone((t - left) / (right - left)) if right > left else 1.0
                    high, low = group[phase[start]], group[phase[end]]
                    return high + (low - high) * share
                left = right
            raise AssertionError("a OneCycleLR has phases")

        return at

    names = ("initial_lr", "max_lr", "min_lr")
    peak = group["max_lr"]
    shape = (scheduler._anneal_func_type, *(phase["end_step"] for phase in phases))
    return closed(
        peak or 1.0,
        along("start_lr", "end_lr"),
        *shape,
        *(group[name] / peak if peak else 0.0 for name in names),
        momentum=along("start_momentum", "end_momentum") if scheduler.cycle_momentum else None,
    )


@RULES.add("SWALR")
def swa_lr(scheduler: Any, i: int) -> Rule:
    """From the rate at which it is first stepped to its own; after the way is gone, from the group's initial rate."""
    group, length = numbers(scheduler, i), scheduler.anneal_epochs
    to, gone = group["swa_lr"], ANNEAL[scheduler._anneal_strategy]

    def share(t: float) -> float:
        return gone(min(max(t, 0) / length, 1.0)) if length else 1.0

    def back(rate: float, t: float) -> float:
        """The rate at the beginning, seen from t."""
        return (rate - share(t) * to) / (1 - share(t))

    def advance(rate: float, t: int) -> float:
        before = share(t - 1)
        return to if before == 1 else to * share(t) + back(rate, t - 1) * (1 - share(t))

    done = scheduler._step_count - 1
    base = float(scheduler.base_lrs[i]) if share(done) == 1 else back(group["lr"], done)
    return Rule(
        peak=base or 1.0,
        start=lambda rate: to if length == 0 else rate,
        reset=lambda rate: to if length == 0 else rate,
        advance=advance,
        at=lambda t: to * share(t) + base * (1 - share(t)),
        shape=(length, scheduler._anneal_strategy, to / base if base else to),
    )
