"""Sharpness-aware minimisation. Foret et al., arXiv:2010.01412, algorithm 1 with p = 2.

Batch norm sees each batch twice, once at the perturbed weights, and its running statistics move twice.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.optim.eager import plain_step
from tunesmith.blocks.optim.member import Groups, Member
from tunesmith.records import Recipe, RecipeError, Source, revise

RADIUS = "sam_rho"  # its key in a group; adadelta has a "rho" of its own
TINY = 1e-12  # keeps a zero gradient from dividing by zero


class SAM(Optimizer):
    """Climbs `rho` along the gradient, takes the gradient there, and lets `base` step with it from where it stood.

    `step(closure)`: the closure clears the gradients, computes loss and gradients and returns the loss; it is called
    twice, and the first loss is returned. Groups and state are those of `base`: one state_dict holds everything.
    """

    def __init__(self, base: Optimizer, rho: float = 0.05) -> None:
        if not rho > 0:
            raise RecipeError(f"sam got rho = {rho!r}, a radius above 0 was expected; 0.05 is that of the paper")
        super().__init__(base.param_groups, {**base.defaults, RADIUS: rho})
        self.base = base
        self._share()

    def _share(self) -> None:
        self.state, self.param_groups = self.base.state, self.base.param_groups

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
        """Moves the weights by rho g / |g| (eq. 2); returns them with copies of what they were."""
        gradients = [
            weight.grad for group in self.param_groups for weight in group["params"] if weight.grad is not None
        ]
        norm = nn.utils.get_total_norm(gradients)
        moved = []
        for group in self.param_groups:
            scale = group[RADIUS] / (norm + TINY)
            for weight in group["params"]:
                if weight.grad is not None:
                    moved.append((weight, weight.clone()))
                    weight.add_(weight.grad * scale.to(weight))
        return moved

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if "base" not in self.__dict__:  # the groups of `base`, while this is made
            super().add_param_group(param_group)
            return
        self.base.add_param_group({RADIUS: self.defaults[RADIUS], **param_group})

    def state_dict(self) -> dict[str, Any]:
        return self.base.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.base.load_state_dict(state_dict)
        self._share()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "base": self.base}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()


class Sharp:
    """`optim.name = "sam"`. In `optim.extra`: `rho`, `base` (an optimizer by name, sgd), and what the base takes."""

    name = "sam"
    sparse = False
    dense = True

    def weight_decay(self, recipe: Recipe) -> float:
        return self._base(recipe).weight_decay(recipe)

    def _base(self, recipe: Recipe) -> Member:
        name = recipe.optim.extra.get("base", "sgd")
        if name == self.name or name == "lbfgs":
            raise RecipeError(
                f"optim.extra.base = {name!r}: sam needs a base that steps once a gradient; take 'sgd' or 'adamw'"
            )
        return OPTIMIZERS[name]

    def fields(self, recipe: Recipe) -> Iterable[str]:
        return self._base(recipe).fields(recipe)

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
        rest = {name: value for name, value in recipe.optim.extra.items() if name not in ("base", "rho")}
        below = revise(recipe, {"optim.extra": rest}, Source("derived", "the base of sam"))
        return SAM(self._base(recipe)(parts, lr, below), rho=recipe.optim.extra.get("rho", 0.05))


OPTIMIZERS.add("sam")(Sharp())
