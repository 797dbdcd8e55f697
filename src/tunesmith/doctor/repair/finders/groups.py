"""The rates of an optimizer's parameter groups at the peak of their schedule."""

from typing import Any

from torch.optim.lr_scheduler import OneCycleLR

from tunesmith.doctor.preflight import Bench
from tunesmith.records import ModelError


def peaks(bench: Bench) -> list[float]:
    """The peak rate of each group, as the program brought it.

    Raises `ModelError` for an optimizer without rates, and where all of them are 0.
    """
    optimizer = bench.program.optimizer
    groups = list(getattr(optimizer, "param_groups", ()))
    if not groups or not all("lr" in group for group in groups):
        raise ModelError(
            f"the optimizer is a {type(optimizer).__name__} without a learning rate in its groups; "
            "a rate can be found for a torch.optim.Optimizer whose groups have 'lr'"
        )
    cycled = isinstance(bench.program.scheduler, OneCycleLR)
    found = [float(_peak(group, cycled)) for group in groups]
    if not any(rate > 0 for rate in found):
        raise ModelError(
            "every rate of the optimizer is 0, so the groups have no ratios to keep; give them rates that stand in the "
            "ratio you want, for example lr=1e-3"
        )
    return found


def _peak(group: dict[str, Any], cycled: bool) -> Any:
    return group["max_lr"] if cycled and "max_lr" in group else group.get("initial_lr", group["lr"])


def main_group(bench: Bench) -> int:
    """The group that a single rate speaks of: the one with most weights among those that move."""
    rates = peaks(bench)
    sizes = [sum(each.numel() for each in group["params"]) for group in bench.program.optimizer.param_groups]
    return max((place for place, rate in enumerate(rates) if rate > 0), key=lambda place: sizes[place])
