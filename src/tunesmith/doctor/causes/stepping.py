"""What happens around the updates of a program that steps or loops by itself: a tool of the experiments.

A hook on an optimizer is lost where the optimizer is copied; a step or loop that sets its hooks each time it is called is not.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from tunesmith.records import Program

Hook = Callable[[Any, Any, Any], None]
Hooks = Callable[
    [Optimizer], tuple[Hook | None, Hook | None]
]  # what is done before and after each update of an optimizer


class Accompanied:
    """A program's own step, or its own loop, with something done before and after each update of its optimizer."""

    def __init__(self, own: Callable[..., Any], hooks: Hooks) -> None:
        self.own = own
        self.hooks = hooks

    def __call__(self, *given: Any) -> Any:
        optimizer = given[0].optimizer if isinstance(given[0], Program) else given[2]
        before, after = self.hooks(optimizer)
        handles = [] if before is None else [optimizer.register_step_pre_hook(before)]
        handles += [] if after is None else [optimizer.register_step_post_hook(after)]
        try:
            return self.own(*given)
        finally:
            for handle in handles:
                handle.remove()


class Warm:
    """The factor of a rate that rises in a line over the first `length` updates, then 1."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.length)


def paced(factor: Callable[[int], float]) -> Hooks:
    """Update number `step` of a loop is made at `factor(step)` times the rate; a scheduler sees the rates without it."""

    def hooks(optimizer: Optimizer) -> tuple[Hook, Hook]:
        count = [0]

        def before(one: Any, args: Any, named: Any) -> None:
            for group in optimizer.param_groups:
                group["_rate"] = group["lr"]
                group["lr"] = group["lr"] * factor(count[0])

        def after(one: Any, args: Any, named: Any) -> None:
            for group in optimizer.param_groups:
                group["lr"] = group.pop("_rate")
            count[0] += 1

        return before, after

    return hooks


def cleared(optimizer: Optimizer) -> tuple[None, Hook]:
    """Gradients are gone after each update, so that none is counted twice."""

    def after(one: Any, args: Any, named: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    return None, after


def clipped(norm: float) -> Hooks:
    """The whole gradient is cut to a length."""

    def hooks(optimizer: Optimizer) -> tuple[Hook, None]:
        def before(one: Any, args: Any, named: Any) -> None:
            held = [each for group in optimizer.param_groups for each in group["params"] if each.grad is not None]
            torch.nn.utils.clip_grad_norm_(held, norm)

        return before, None

    return hooks
