"""What a member of the catalogue is, and what it asks of a recipe and a model."""

from collections.abc import Iterable
from typing import Any, Protocol

from torch import nn
from torch.optim import Optimizer

from tunesmith.records import ModelError, Recipe, RecipeError, Source, revise

Groups = list[dict[str, Any]]


class Member(Protocol):
    """An optimizer that a recipe can name."""

    name: str
    sparse: bool  # takes sparse gradients
    dense: bool  # takes dense gradients

    def weight_decay(self, recipe: Recipe) -> float:
        """What "auto" means for it."""

    def fields(self, recipe: Recipe) -> Iterable[str]:
        """The fields of the section `optim` that it has a use for."""

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer: ...


NO_BASES = ("lbfgs", "lookahead", "sam", "schedulefree_adamw", "schedulefree_radam", "schedulefree_sgd")


def base_name(recipe: Recipe, name: str) -> str:
    """The base in `optim.extra` of a member that wraps another, sgd where none is named. Raises `RecipeError` for a wrong one."""
    base = recipe.optim.extra.get("base", "sgd")
    if not isinstance(base, str) or base in NO_BASES:
        raise RecipeError(
            f"optim.extra.base = {base!r}: {name} needs a base that steps once a gradient; take 'sgd' or 'adamw'"
        )
    return base


def base_recipe(recipe: Recipe, name: str, own: Iterable[str]) -> Recipe:
    """The recipe as the base of a wrapper reads it: without the wrapper's own arguments."""
    rest = {key: value for key, value in recipe.optim.extra.items() if key not in ("base", *own)}
    return revise(recipe, {"optim.extra": rest}, Source("derived", f"the base of {name}"))


def given(recipe: Recipe, field: str) -> bool:
    """Whether a value of the section `optim` is more than the recipe's own default."""
    kind = type(recipe.optim)
    return (
        recipe.source(f"optim.{field}").kind != "default"
        or getattr(recipe.optim, field) != kind.model_fields[field].default
    )


def sparse_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Embeddings that will give sparse gradients, by name."""
    kinds = (nn.Embedding, nn.EmbeddingBag)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds) and layer.sparse}


def fit_sparse(member: Member, model: nn.Module, recipe: Recipe) -> Recipe:
    """The recipe with the kernel that sparse gradients need; raises where they and the optimizer do not fit."""
    layers = sparse_layers(model)
    if layers and not member.sparse:
        raise ModelError(
            f"the layer {next(iter(layers))!r} gives sparse gradients, which {member.name} cannot take; "
            "make it with sparse=False, or use sgd or adagrad"
        )
    if not member.dense:
        ours = {id(weight) for layer in layers.values() for weight in layer.parameters()}
        others = [name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in ours]
        if others:
            raise ModelError(
                f"{member.name} takes sparse gradients only, but {others[0]!r} will have a dense one; use adamw"
            )
    if not layers:
        return recipe
    if recipe.optim.implementation in ("fused", "foreach"):
        raise RecipeError(
            f"optim.implementation = {recipe.optim.implementation!r} has no kernel for the sparse gradients of "
            f"{next(iter(layers))!r}; set it to 'auto'"
        )
    return revise(recipe, {"optim.implementation": "forloop"}, Source("derived", "sparse gradients"))
