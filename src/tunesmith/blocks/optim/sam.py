"""Sharpness-aware minimisation. Foret et al., arXiv:2010.01412, algorithm 1 with p = 2; adaptive: Kwon et al.,
arXiv:2102.11600, eq. 3 with T_w = |w|.

Batch norm sees each batch twice, once at the perturbed weights, and its running statistics move twice.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.optim.eager import plain_step
from tunesmith.blocks.optim.making import made
from tunesmith.blocks.optim.member import Groups, Member, base_name, base_recipe
from tunesmith.blocks.optim.wrapper import Wrapper
from tunesmith.records import Recipe, RecipeError

RADIUS = "sam_rho"  # its key in a group; adadelta has a "rho" of its own
TINY = 1e-12  # keeps a zero gradient from dividing by zero


class SAM(Wrapper):
    """Climbs `rho` along the gradient, takes the gradient there, and lets `base` step with it from where it stood.

    The climb is e = rho g / |g|, the norm over all parameters; `adaptive`: e = rho w² g / |w g|, which does not change
    when a layer's weights are scaled up and the next layer's down, and takes a larger rho (0.5 in its paper).

    `step(closure)`: the closure clears the gradients, computes loss and gradients and returns the loss; it is called
    twice, and the first loss is returned. Groups and state are those of `base`: one state_dict holds everything.
    """

    def __init__(self, base: Optimizer, rho: float = 0.05, adaptive: bool = False) -> None:
        if not rho > 0:
            raise RecipeError(f"sam got rho = {rho!r}, a radius above 0 was expected; 0.05 is that of the paper")
        super().__init__(base, {RADIUS: rho})
        self.adaptive = adaptive

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        compute = torch.enable_grad()(closure)
        loss = compute()
        moved = self._climb()
        try:
            compute()
        finally:
            for weight, kept in moved:
                weight.copy_(kept)
        plain_step(self.base)()
        return loss

    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Moves the weights by e (eq. 2); returns them with copies of what they were."""
        held = [(weight, group) for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        norm = nn.utils.get_total_norm(
            [weight.grad * weight.abs() if self.adaptive else weight.grad for weight, _ in held]
        )
        moved = []
        for weight, group in held:
            scale = (group[RADIUS] / (norm + TINY)).to(weight)
            moved.append((weight, weight.clone()))
            weight.add_(weight.grad * scale * (weight.abs().square() if self.adaptive else 1.0))
        return moved

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "adaptive": self.adaptive}


class Sharp:
    """`optim.name = "sam"`. In `optim.extra`: `rho`, `adaptive`, `base` (an optimizer by name, sgd), and what the base takes.

    Use: where generalisation matters more than time: an update costs two passes.
    """

    name = "sam"
    sparse = False
    dense = True

    def weight_decay(self, recipe: Recipe) -> float:
        return self._base(recipe).weight_decay(recipe)

    def _base(self, recipe: Recipe) -> Member:
        return OPTIMIZERS[base_name(recipe, self.name)]

    def fields(self, recipe: Recipe) -> Iterable[str]:
        return self._base(recipe).fields(recipe)

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
        extra = recipe.optim.extra
        base = made(self._base(recipe), parts, lr, base_recipe(recipe, self.name, ("rho", "adaptive")))
        return SAM(base, rho=extra.get("rho", 0.05), adaptive=bool(extra.get("adaptive", False)))


OPTIMIZERS.add("sam")(Sharp())
