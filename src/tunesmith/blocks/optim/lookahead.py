"""Lookahead: slow weights that follow an optimizer's fast ones. Zhang et al., arXiv:1907.08610, algorithm 1."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.optim.eager import plain_step
from tunesmith.blocks.optim.making import made
from tunesmith.blocks.optim.member import Groups, Member, base_name, base_recipe
from tunesmith.blocks.optim.wrapper import Wrapper
from tunesmith.records import Recipe, RecipeError


class Lookahead(Wrapper):
    """After every `k` steps of `base`: φ ← φ + α (θ - φ), θ ← φ; the slow weights φ are those to evaluate.

    `eval()` puts the slow weights into the model and `train()` the fast ones back, bit for bit. The base keeps its own
    state, momentum among it, over the interpolation. Groups and state are those of `base`; the state_dict holds both.
    Use: cheap smoothing of a noisy optimizer at a large rate; little to gain over a decayed schedule.
    Source: arXiv:1907.08610, algorithm 1; k = 5, α = 0.5 are its defaults.
    """

    def __init__(self, base: Optimizer, k: int = 5, alpha: float = 0.5) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1 or not 0 < alpha <= 1:
            raise RecipeError(f"lookahead got k = {k!r} and alpha = {alpha!r}; k is at least 1 and alpha in (0, 1]")
        super().__init__(base)
        self.k, self.alpha, self.taken = k, alpha, 0
        self.slow: dict[Tensor, Tensor] = {}
        self.fast: dict[Tensor, Tensor] = {}  # while the slow weights are in the model

    def _weights(self) -> list[Tensor]:
        return [weight for group in self.param_groups for weight in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        if self.fast:
            raise RecipeError("lookahead holds its slow weights in the model; call train() before a step")
        loss = torch.enable_grad()(closure)() if closure is not None else None
        for weight in self._weights():
            if weight not in self.slow:
                self.slow[weight] = weight.detach().clone()
        plain_step(self.base)()
        self.taken += 1
        if self.taken % self.k == 0:
            fast = list(self.slow)
            slow = list(self.slow.values())
            torch._foreach_lerp_(slow, fast, self.alpha)
            torch._foreach_copy_(fast, slow)
        return loss

    @torch.no_grad()
    def eval(self) -> None:
        """The slow weights in the model."""
        if not self.fast:
            self.fast = {weight: weight.detach().clone() for weight in self.slow}
            for weight, slow in self.slow.items():
                weight.copy_(slow)

    @torch.no_grad()
    def train(self) -> None:
        """The fast weights in the model."""
        for weight, fast in self.fast.items():
            weight.copy_(fast)
        self.fast = {}

    def state_dict(self) -> dict[str, Any]:
        order = {weight: place for place, weight in enumerate(self._weights())}
        held = {
            name: {str(order[weight]): value for weight, value in part.items()}
            for name, part in (("slow", self.slow), ("fast", self.fast))
        }
        return {**super().state_dict(), "lookahead": {"taken": self.taken, **held}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = state_dict["lookahead"]
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "lookahead"})
        weights = self._weights()
        self.taken = int(own["taken"])
        self.slow, self.fast = (
            {weights[int(place)]: value.detach().clone().to(weights[int(place)]) for place, value in own[name].items()}
            for name in ("slow", "fast")
        )

    def __getstate__(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("k", "alpha", "taken")}
        pairs = {name: list(getattr(self, name).items()) for name in ("slow", "fast")}
        return {**super().__getstate__(), **own, **pairs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.slow, self.fast = dict(state["slow"]), dict(state["fast"])  # copied weights have places of their own


class Ahead:
    """`optim.name = "lookahead"`. In `optim.extra`: `k`, `alpha`, `base` (an optimizer by name, sgd), and what the base takes."""

    name = "lookahead"
    sparse = False
    dense = True

    def _base(self, recipe: Recipe) -> Member:
        return OPTIMIZERS[base_name(recipe, self.name)]

    def weight_decay(self, recipe: Recipe) -> float:
        return self._base(recipe).weight_decay(recipe)

    def fields(self, recipe: Recipe) -> Iterable[str]:
        return self._base(recipe).fields(recipe)

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
        extra = recipe.optim.extra
        base = made(self._base(recipe), parts, lr, base_recipe(recipe, self.name, ("k", "alpha")))
        return Lookahead(base, k=extra.get("k", 5), alpha=extra.get("alpha", 0.5))


OPTIMIZERS.add("lookahead")(Ahead())
