"""Weights that an update made not finite, and learning rates that are not: what the optimizer's own numbers say of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.nonfinite import Origin
from tunesmith.doctor.probes.nonfinite_why import GROWN

SQUARES = ("exp_avg_sq", "square_avg", "sum", "max_exp_avg_sq")  # second moments of Adam, RMSprop, Adagrad


class Rates:
    """The learning rate of the last updates, and the one before it changed."""

    def __init__(self) -> None:
        self.last = self.before = math.nan
        self._same: Any = None  # the rate of the only group, as it was found last and found finite

    def look(self, optimizer: torch.optim.Optimizer) -> Origin | None:
        """Before an update; an origin where a rate is not finite."""
        groups = optimizer.param_groups
        if len(groups) == 1 and isinstance(self._same, float) and groups[0].get("lr") is self._same:
            return None
        self._same = None
        for place, group in enumerate(groups):
            rate = group.get("lr")
            if isinstance(rate, Tensor):
                if rate.is_cuda:
                    continue
                rate = rate.item()
            if isinstance(rate, float | int):
                if place == 0 and rate != self.last:
                    self.before, self.last = self.last, float(rate)
                if not math.isfinite(rate):
                    return Origin(
                        module="rate",
                        direction="update",
                        why="rate_not_finite",
                        fault="lr.bad_schedule",
                        op=type(optimizer).__name__,
                        numbers={
                            "rate": float(rate),
                            "before": self.before if place == 0 else math.nan,
                            "group": place,
                        },
                    )
        self._same = groups[0].get("lr") if len(groups) == 1 else None
        return None


def of_update(
    step: int,
    broken: Sequence[str],
    named: Mapping[str, nn.Parameter],
    values: Mapping[str, Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    start: Mapping[str, float],
    *,
    noticed: int,
) -> Origin:
    """The origin in update `step`, of the weights `broken` that it left not finite."""
    name = broken[0]
    bad = ~torch.isfinite(values[name])
    numbers: dict[str, float] = {"bad": int(bad.sum()), "of": bad.numel(), "weights": len(broken), "step": step}
    why, fault, optimizer = "bad_weight", "init.bad_scale", ""
    if step > 0:
        why, fault, optimizer, more = _why(named, values, broken, optimizers, start)
        numbers |= more
    return Origin(
        module=name.rpartition(".")[0] or name,
        direction="update",
        why=why,
        fault=fault,
        step=max(step, 0),
        op=optimizer,
        parameter=name,
        numbers=numbers,
        noticed=noticed,
    )


def _why(
    named: Mapping[str, nn.Parameter],
    values: Mapping[str, Tensor],
    broken: Sequence[str],
    optimizers: Sequence[torch.optim.Optimizer],
    start: Mapping[str, float],
) -> tuple[str, str, str, dict[str, float]]:
    parameter, bad = named[broken[0]], ~torch.isfinite(values[broken[0]])
    optimizer, group = _group(parameter, optimizers)
    if optimizer is None or group is None:
        return "weights_changed", "numerics.unsafe_op", "", {}
    kind, state = type(optimizer).__name__, optimizer.state.get(parameter, {})
    rate, decay = _float(group.get("lr")), _float(group.get("weight_decay"))
    numbers = {"rate": rate, "weight_decay": decay, "eps": _float(group.get("eps"))}
    grown = _grown(values, start)
    numbers["growth"] = grown
    squares = next((state[one] for one in SQUARES if isinstance(state.get(one), Tensor)), None)
    if squares is not None and squares.shape == bad.shape:
        zero = (squares == 0) | torch.isnan(squares)
        tiny = torch.tensor(_float(group.get("eps")), dtype=squares.dtype) == 0  # 1e-8 is 0 in half precision
        if "eps" in group and bool(tiny) and bool((squares == 0)[bad].any() or (zero[bad].all() and bool(bad.any()))):
            return "adam_zero", "optim.bad_hyperparameters", kind, numbers | {"zeros": int((squares == 0).sum())}
        if bool(torch.isinf(squares).any()) and not bool(torch.isnan(squares).any()):
            return "moment_overflow", "lr.too_high", kind, numbers
    if rate * decay > 2:
        return "decay_explodes", "reg.too_strong", kind, numbers | {"decay_times_rate": rate * decay}
    if grown >= GROWN or not bool(torch.isnan(values[broken[0]]).any()):
        return "exploding", "lr.too_high", kind, numbers
    return "weights_changed", "numerics.unsafe_op", kind, numbers


def turned_by_decay(optimizers: Sequence[torch.optim.Optimizer]) -> float | None:
    """Rate times decay where it is above 2, so that an update turns the weights over and makes them larger."""
    each = [
        _float(group.get("lr")) * _float(group.get("weight_decay")) for one in optimizers for group in one.param_groups
    ]
    return max(each, default=0.0) if max(each, default=0.0) > 2 else None


def _group(parameter: nn.Parameter, optimizers: Sequence[torch.optim.Optimizer]) -> tuple[Any, Any]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if any(one is parameter for one in group["params"]):
                return optimizer, group
    return None, None


def _float(value: Any) -> float:
    return float(value) if value is not None else 0.0


def _grown(values: Mapping[str, Tensor], start: Mapping[str, float]) -> float:
    """The largest growth of a weight among its finite numbers."""
    found = [1.0]
    for name, was in start.items():
        now = values[name][torch.isfinite(values[name])]
        if was > 0 and now.numel():
            found.append(float(now.double().square().mean().sqrt()) / was)
    return max(found)
