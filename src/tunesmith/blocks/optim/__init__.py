"""Optimizers: every one of torch by its name in lower case, and others; parameter groups; laws of batch and rate.

A member is called with parameter groups, a rate and the recipe: `OPTIMIZERS["adamw"](groups, lr, recipe)`.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from tunesmith.blocks.optim.closure import needs_closure
from tunesmith.blocks.optim.decay import decay_kind
from tunesmith.blocks.optim.depth import body_and_head, last_layer, layer_depths, layer_rates
from tunesmith.blocks.optim.eager import plain_step, without_compiler
from tunesmith.blocks.optim.groups import (
    add_groups,
    frozen_parameters,
    groups,
    layer_table,
    missing_parameters,
    rate_factors,
    unfreeze,
)
from tunesmith.blocks.optim.making import made
from tunesmith.blocks.optim.member import Groups, Member, fit_sparse, given, sparse_layers
from tunesmith.blocks.optim.switching import evaluated, is_schedule_free, switches
from tunesmith.blocks.optim.width import Carried, carried, restart
from tunesmith.records import Catalog, Recipe, Source, revise
from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.blocks.optim.batch_laws import (
        best_batch,
        best_rate,
        critical_batch,
        grown_batch,
        noise_scale,
        sgd_noise,
    )
    from tunesmith.blocks.optim.kernels import fastest_kernel
    from tunesmith.blocks.optim.scaling import scale_rate
    from tunesmith.blocks.optim.table import group_lines, group_table

__all__ = [
    "OPTIMIZERS",
    "Carried",
    "adapted",
    "add_groups",
    "best_batch",
    "best_rate",
    "body_and_head",
    "build",
    "carried",
    "critical_batch",
    "decay_kind",
    "evaluated",
    "fastest_kernel",
    "frozen_parameters",
    "group_lines",
    "group_table",
    "groups",
    "grown_batch",
    "is_schedule_free",
    "last_layer",
    "layer_depths",
    "layer_rates",
    "layer_table",
    "measured_kernel",
    "member",
    "missing_parameters",
    "needs_closure",
    "noise_scale",
    "plain_step",
    "rate_factors",
    "restart",
    "scale_rate",
    "sgd_noise",
    "switches",
    "unfreeze",
    "unused_fields",
    "without_compiler",
]

LATE = {  # read when first asked for: few trainings need them
    **dict.fromkeys(
        ("best_batch", "best_rate", "critical_batch", "grown_batch", "noise_scale", "sgd_noise"), "batch_laws"
    ),
    "fastest_kernel": "kernels",
    "group_lines": "table",
    "group_table": "table",
    "scale_rate": "scaling",
}
__getattr__ = late(__name__, LATE)


OPTIMIZERS: Catalog[Member] = Catalog("optimizer")
OPTIMIZERS.load(__path__, __name__)

FIELDS = ("momentum", "beta1", "beta2", "eps", "weight_decay")  # of the recipe, that not every optimizer has


def member(recipe: Recipe) -> Member:
    """The catalogue's member that `optim.name` means; "auto" is AdamW."""
    return OPTIMIZERS["adamw" if recipe.optim.name == "auto" else recipe.optim.name]


def adapted(recipe: Recipe) -> Recipe:
    """The recipe with what a schedule-free optimizer by name asks for: a constant rate, and the rate of its authors.

    Only what is still "auto" or default is replaced.
    """
    rate = getattr(OPTIMIZERS.get(recipe.optim.name), "rate", None)
    if rate is None:
        return recipe
    because = Source("derived", f"{recipe.optim.name} averages in place of a schedule")
    changes: dict[str, Any] = {}
    if recipe.schedule.name == "auto":
        changes["schedule.name"] = "constant"
    if recipe.optim.lr == "auto":
        changes["optim.lr"] = rate
    return revise(recipe, changes, because) if changes else recipe


def parts_of(
    recipe: Recipe, model: nn.Module, lr: float, fresh: Collection[str] = (), widths: Carried | None = None
) -> Groups:
    """The parameter groups that the recipe asks for. A weight decay of "auto" is that of the optimizer (0.01 for adamw).

    `fresh` parameters belong to the head; `widths` carries rate and decay from another width.
    """
    chosen, optim = member(recipe), recipe.optim
    decay = chosen.weight_decay(recipe) if optim.weight_decay == "auto" else optim.weight_decay
    return groups(
        model,
        decay if "weight_decay" in chosen.fields(recipe) else 0.0,
        optim.decay_all,
        decay_norm=optim.decay_norm,
        decay_bias=optim.decay_bias,
        decay_embedding=optim.decay_embedding,
        decays=optim.decays,
        layer_decay=optim.layer_decay,
        rates=optim.rates,
        lr=lr,
        fresh=fresh,
        widths=widths,
    )


def build(
    recipe: Recipe, model: nn.Module, lr: float, fresh: Collection[str] = (), widths: Carried | None = None
) -> Optimizer:
    """The recipe's optimizer over the trainable parameters of `model`, made without importing the compiler."""
    chosen = member(recipe)
    parts = parts_of(recipe, model, lr, fresh, widths)
    recipe = fit_sparse(chosen, model, measured_kernel(recipe, model, lr)[0])
    with without_compiler():
        return made(chosen, parts, lr, recipe)


def measured_kernel(recipe: Recipe, model: nn.Module, lr: float) -> tuple[Recipe, str]:
    """The recipe with the fastest kernel in place of "measure", and the sentence that tells it."""
    chosen = member(recipe)
    if recipe.optim.implementation != "measure" or sparse_layers(model):
        return recipe, ""

    from tunesmith.blocks.optim.kernels import fastest_kernel

    def make(parts: Groups, kernel: str) -> Optimizer:
        return made(chosen, parts, lr, revise(recipe, {"optim.implementation": kernel}))

    with without_compiler():
        timed = fastest_kernel(make, parts_of(recipe, model, lr))
    return revise(recipe, {"optim.implementation": timed.kernel}, Source("derived", str(timed))), str(timed)


def unused_fields(recipe: Recipe) -> list[str]:
    """Paths of values that were set, and that the recipe's optimizer has no use for."""
    used = member(recipe).fields(recipe)
    return [f"optim.{field}" for field in FIELDS if field not in used and given(recipe, field)]
