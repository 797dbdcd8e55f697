"""What happens around the updates of a copied optimizer: a tool of the experiments."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


def paced(optimizer: Optimizer, factor: Callable[[int], float]) -> None:
    """Update number `step` is made at `factor(step)` times the rate; a scheduler sees the rates without it."""
    count = [0]

    def before(one: Any, args: Any, named: Any) -> None:
        for group in optimizer.param_groups:
            group["_rate"] = group["lr"]
            group["lr"] = group["lr"] * factor(count[0])

    def after(one: Any, args: Any, named: Any) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group.pop("_rate")
        count[0] += 1

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)


def cleared(optimizer: Optimizer) -> None:
    """Gradients are gone after each update, so that none is counted twice."""

    def after(one: Any, args: Any, named: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    optimizer.register_step_post_hook(after)


def clipped(optimizer: Optimizer, times: float = 2.0, memory: float = 0.9) -> None:
    """Gradients are cut to `times` their usual length, a running mean of what was let through."""
    usual = [0.0]

    def before(one: Any, args: Any, named: Any) -> None:
        held = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not held:
            return
        length = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in held])))
        if usual[0] > 0 and length > times * usual[0]:
            for each in held:
                each.mul_(times * usual[0] / length)
            length = times * usual[0]
        usual[0] = length if usual[0] == 0 else memory * usual[0] + (1 - memory) * length

    optimizer.register_step_pre_hook(before)
