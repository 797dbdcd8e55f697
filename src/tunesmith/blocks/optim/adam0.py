"""Adam without ε: an experiment, never a default.

Whether a small or a large ε is better is contested (arXiv:2304.09871 for smaller, arXiv:1910.05446 found larger ones best
after tuning); ε = 0 is the end of that scale. Kingma & Ba, arXiv:1412.6980, algorithm 1 with ε = 0, and no update where
v = 0: there the gradient has been 0, or so small that its square is none in the parameter's number type.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.optim.decay import FLAG
from tunesmith.blocks.optim.member import Groups
from tunesmith.records import ModelError, Recipe, RecipeError, did_you_mean


class Adam0(Optimizer):
    """w ← w - lr m̂ / √v̂ where v > 0, and w ← w where v = 0.

    The first update of every entry with a gradient is lr, whatever its size.
    Use: to try whether ε holds a run back, beside a twin with 1e-8; not in half precision.
    Source: arXiv:1412.6980, algorithm 1.

    >>> weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    >>> weight.grad = torch.tensor([1e-12, 0.0])
    >>> Adam0([weight], lr=0.25).step()
    >>> weight.tolist()
    [0.75, 1.0]
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas):
            raise RecipeError(f"adam0 got betas {betas}; both lie in [0, 1)")
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, FLAG: decoupled_weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = torch.enable_grad()(closure)() if closure is not None else None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        if gradient.is_sparse or gradient.is_complex():
            raise ModelError("adam0 takes dense, real gradients; use adam for others")
        lr, (beta1, beta2), decay, state = float(group["lr"]), group["betas"], group["weight_decay"], self.state[weight]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(weight), exp_avg_sq=torch.zeros_like(weight))
        state["step"] += 1
        if decay and group[FLAG]:
            weight.mul_(1 - lr * decay)
        elif decay:
            gradient = gradient.add(weight, alpha=decay)
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.lerp_(gradient, 1 - beta1)
        v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        rate = lr * math.sqrt(1 - beta2 ** state["step"]) / (1 - beta1 ** state["step"])
        weight.sub_(torch.where(v > 0, m / v.sqrt(), 0.0), alpha=rate)


class Zero:
    """`optim.name = "adam0"`, or adam and adamw with `optim.eps = 0`."""

    name = "adam0"
    sparse = False
    dense = True

    def weight_decay(self, recipe: Recipe) -> float:
        return 0.0

    def fields(self, recipe: Recipe) -> Iterable[str]:
        return ("weight_decay", "beta1", "beta2")

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
        optim = recipe.optim
        for name in optim.extra:
            if name != FLAG:
                raise RecipeError(f"optim.extra: adam0 takes no {name!r}{did_you_mean(name, (FLAG,))}")
        if optim.implementation in ("fused", "foreach"):
            raise RecipeError(
                f"optim.implementation = {optim.implementation!r}: adam0 has forloop only; set it to 'auto'"
            )
        decoupled = bool(optim.extra.get(FLAG, False))
        betas = (optim.beta1, optim.beta2)
        return Adam0([dict(part) for part in parts], lr=lr, betas=betas, decoupled_weight_decay=decoupled)


OPTIMIZERS.add("adam0")(Zero())
