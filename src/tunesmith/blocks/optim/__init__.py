"""Optimizers: every one of torch by its name in lower case, and our own; parameter groups; steps without the compiler.

A member is called with parameter groups, a rate and the recipe: `OPTIMIZERS["adamw"](groups, lr, recipe)`.
"""

from torch import nn
from torch.optim import Optimizer

from tunesmith.blocks.optim.closure import needs_closure
from tunesmith.blocks.optim.eager import plain_step, without_compiler
from tunesmith.blocks.optim.groups import frozen_parameters, groups, layer_table, missing_parameters
from tunesmith.blocks.optim.member import Member, fit_sparse, given
from tunesmith.records import Catalog, Recipe

__all__ = [
    "OPTIMIZERS",
    "build",
    "frozen_parameters",
    "groups",
    "layer_table",
    "member",
    "missing_parameters",
    "needs_closure",
    "plain_step",
    "unused_fields",
    "without_compiler",
]

OPTIMIZERS: Catalog[Member] = Catalog("optimizer")
OPTIMIZERS.load(__path__, __name__)

FIELDS = ("momentum", "beta1", "beta2", "eps", "weight_decay")  # of the recipe, that not every optimizer has


def member(recipe: Recipe) -> Member:
    """The catalogue's member that `optim.name` means; "auto" is AdamW."""
    return OPTIMIZERS["adamw" if recipe.optim.name == "auto" else recipe.optim.name]


def build(recipe: Recipe, model: nn.Module, lr: float) -> Optimizer:
    """The recipe's optimizer over the trainable parameters of `model`, made without importing the compiler.

    A weight decay of "auto" is that of torch for the optimizer (0.01 for adamw, 0 for most).
    """
    chosen = member(recipe)
    decay = recipe.optim.weight_decay
    share = (
        0.0
        if "weight_decay" not in chosen.fields(recipe)
        else chosen.weight_decay(recipe)
        if decay == "auto"
        else decay
    )
    parts = groups(model, share, recipe.optim.decay_all)
    recipe = fit_sparse(chosen, model, recipe)
    with without_compiler():
        return chosen(parts, lr, recipe)


def unused_fields(recipe: Recipe) -> list[str]:
    """Paths of values that were set, and that the recipe's optimizer has no use for."""
    used = member(recipe).fields(recipe)
    return [f"optim.{field}" for field in FIELDS if field not in used and given(recipe, field)]
