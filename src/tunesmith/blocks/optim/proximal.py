"""An L1 penalty with exact zeros: a soft threshold after each update. Parikh & Boyd (2014), Proximal algorithms, 6.5.2.

Adding λ |w| to the loss leaves small values that hop around 0; the proximal step stops at 0.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.blocks.optim.groups import parameter_kinds
from tunesmith.blocks.optim.patterns import matching
from tunesmith.records import RecipeError


@torch.no_grad()
def soft_threshold(weights: Iterable[Tensor], amount: float) -> None:
    """w ← sign(w) max(|w| - amount, 0) in place: the proximal operator of amount · |w|₁.

    >>> weight = torch.tensor([0.5, -0.5, 0.125])
    >>> soft_threshold([weight], 0.25)
    >>> weight.tolist()
    [0.25, -0.25, 0.0]
    """
    for weight in weights:
        weight.copy_(nn.functional.softshrink(weight, amount))


class L1:
    """After an update: a soft threshold by lr λ, lr the current rate of each parameter's group.

    The weights of layers are shrunk (no biases, norms, embeddings or other vectors), or what the patterns `only` name.
    For SGD it is the proximal gradient method on loss + λ |w|₁; under an adaptive rule it is decoupled, as AdamW's decay:
    every weight shrinks by lr λ whatever its gradients were. Parameters without a gradient stay as they are.
    Raises `RecipeError` for a pattern that matches nothing.
    Use: to choose inputs or connections, on the first layer or a linear model; not as a cure for overfitting in general.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, strength: float, only: Sequence[str] = ()) -> None:
        self.optimizer = optimizer
        self.strength = strength
        named = dict(model.named_parameters(remove_duplicate=False))
        if only:
            self.chosen = {id(named[name]) for pattern in only for name in matching(pattern, named, "optim.l1_only")}
        else:
            self.chosen = {weight for weight, kinds in parameter_kinds(model).items() if kinds == {"weight"}}
        if not self.chosen:
            raise RecipeError(
                "the L1 penalty has nothing to shrink: no layer has weights; name parameters (optim.l1_only)"
            )

    def __call__(self) -> None:
        for group in self.optimizer.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None and id(weight) in self.chosen]
            soft_threshold(weights, float(group["lr"]) * self.strength)
