"""Weight decay of two kinds: in the gradient (L2), or apart from the step (decoupled).

L2 adds λ w to the gradient, so an adaptive rule divides it by √v as well and momentum carries it on; decoupled decay is
w ← w - lr λ w beside the step. They are the same for plain SGD alone. Loshchilov & Hutter, arXiv:1711.05101, algorithms
1 and 2, in the convention of torch: λ is multiplied by the current rate.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.optim import Optimizer

from tunesmith.blocks.optim.eager import plain_step
from tunesmith.blocks.optim.switching import switches
from tunesmith.blocks.optim.wrapper import Wrapper
from tunesmith.records import RecipeError

DecayKind = Literal["decoupled", "l2", "none", "unknown"]
FLAG = "decoupled_weight_decay"  # of torch's Adam, AdamW, NAdam, RAdam, in each group
DECOUPLED = ("adafactor", "muon", "adamwschedulefree", "radamschedulefree")
L2 = ("sgd", "asgd", "adagrad", "adadelta", "adamax", "rmsprop", "sgdschedulefree")


class Decoupled(Wrapper):
    """w ← w - lr λ w, then the step of `base` without its own decay: SGDW and its like.

    Only parameters that have a gradient decay. Groups and state are those of `base`: one state_dict holds everything.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = torch.enable_grad()(closure)() if closure is not None else None
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if decay and weights:
                torch._foreach_mul_(weights, 1 - float(group["lr"]) * decay)
            group["weight_decay"] = 0.0
        try:
            plain_step(self.base)()
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
        return loss


def decay_kind(optimizer: Optimizer) -> DecayKind:
    """How an optimizer decays: "decoupled", "l2", "none" (it cannot), or "unknown" for a class not of torch.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> decay_kind(torch.optim.AdamW([weight])), decay_kind(torch.optim.Adam([weight]))
    ('decoupled', 'l2')
    """
    if isinstance(optimizer, Decoupled):
        return "decoupled"
    base = getattr(optimizer, "base", None)
    if isinstance(base, Optimizer):
        return decay_kind(base)
    group = optimizer.param_groups[0]
    if "weight_decay" not in group:
        return "none"
    if FLAG in group:
        return "decoupled" if group[FLAG] else "l2"
    name = type(optimizer).__name__.lower()
    return "decoupled" if name in DECOUPLED else "l2" if name in L2 else "unknown"


def with_decay_kind(optimizer: Optimizer, name: str, asked: str) -> Optimizer:
    """The optimizer with the decay that was asked for. Raises `RecipeError` where it has no such decay."""
    kind = decay_kind(optimizer)
    if asked in ("auto", kind):
        return optimizer
    if kind in ("none", "unknown"):
        raise RecipeError(f"optim.decay_kind = {asked!r}, but {name} has no weight decay; leave it at 'auto'")
    if any(FLAG in group for group in optimizer.param_groups):
        for settings in (*optimizer.param_groups, optimizer.defaults):
            settings[FLAG] = asked == "decoupled"
        return optimizer
    if asked == "l2" or switches(optimizer):
        raise RecipeError(f"optim.decay_kind = {asked!r}, but {name} has {kind} decay alone; leave it at 'auto'")
    return Decoupled(optimizer)
