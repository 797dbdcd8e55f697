"""What of a net stays as it begins, and when it begins to train: gradual unfreezing from the head down.

A frozen parameter has no gradient and is in no group of the optimizer, so nothing decays it. Batch norms whose parameters are frozen are
in evaluation mode: their statistics stay too. Howard & Ruder, arXiv:1801.06146, section 3.2.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunesmith.blocks import optim
from tunesmith.blocks.optim.member import Groups
from tunesmith.blocks.optim.patterns import matching
from tunesmith.records import Recipe, RecipeError
from tunesmith.records.state import State

BODY = "body"


def freezes(recipe: Recipe) -> bool:
    """Whether the recipe keeps a part of the net as it begins."""
    return freezes_parts(recipe) or bool(recipe.model.lora)


def freezes_parts(recipe: Recipe) -> bool:
    """Whether it does so by `model.freeze` or `model.unfreeze_every`."""
    return recipe.model.freeze not in ("none", []) or recipe.model.unfreeze_every is not None


def frozen_by(recipe: Recipe, model: nn.Module, fresh: Collection[str]) -> list[str]:
    """The names of the parameters that the recipe freezes at the start. Raises `RecipeError` where nothing would be left to train."""
    asked = recipe.model.freeze
    patterns: Sequence[str] = [BODY] if isinstance(asked, str) or not asked else asked
    parts = optim.body_and_head(model, fresh)
    names = [name for name, _ in model.named_parameters()]
    meant = {name for pattern in patterns for name in matching(pattern, names, "model.freeze", parts)}
    if not meant:
        raise RecipeError(
            f"model.freeze: the net {type(model).__name__} is a head alone ({names[0]} …), so there is no body to freeze"
        )
    if len(meant) == len(names):
        raise RecipeError(
            f"model.freeze = {asked!r} freezes all {len(names)} parameters, so nothing would be learnt; leave the head out"
        )
    return [name for name, one in model.named_parameters() if name in meant and one.requires_grad]


def layers_of(model: nn.Module, frozen: Collection[str]) -> list[list[str]]:
    """The frozen parameters by layer, the one nearest to the head first."""
    depths = optim.layer_depths(model)
    wanted = sorted({depths[name] for name in frozen}, reverse=True)
    return [[name for name in depths if depths[name] == depth and name in frozen] for depth in wanted]


@dataclass(frozen=True, slots=True)
class Freezing:
    """The frozen part of a run's net: `layers` from the head down, of which one begins to train every `every` epochs (None: none does).

    `groups` gives the recipe's parameter groups over all that trains; None under an optimizer of the user's own, which has one rate.
    """

    layers: Sequence[Sequence[str]]
    every: int | None
    groups: Callable[[nn.Module], Groups] | None

    def thaw(self, state: State) -> list[str]:
        """Lets those train whose time has come at the start of this epoch; the names of those that did not train yet."""
        due = 0 if self.every is None else state.epoch // self.every
        named = dict(state.model.named_parameters())
        names = [name for layer in self.layers[:due] for name in layer if not named[name].requires_grad]
        if not names:
            return []
        if self.groups is None:
            optim.unfreeze(state.model, state.optimizer, [f"re:^{re.escape(name)}$" for name in names])
        else:
            for name in names:
                named[name].requires_grad_(True)
            new = {id(named[name]) for name in names}
            optim.add_groups(state.optimizer, [kept for part in self.groups(state.model) if (kept := _only(part, new))])
        self.settle(state.model)
        return names

    def settle(self, model: nn.Module) -> list[str]:
        """Puts the batch norms of what is frozen into evaluation mode, and wakes those of what trains by now; names the first.

        The model is in training mode; norms that were never frozen here stay as they are.
        """
        ours = {name for layer in self.layers for name in layer}
        asleep = []
        for name, norm in model.named_modules():
            if not isinstance(norm, _BatchNorm):
                continue
            place, beside = _beside(model, name)
            if any(".".join(filter(None, (place, one))) in ours for one, _ in beside.named_parameters()):
                frozen = not any(one.requires_grad for one in beside.parameters())
                norm.train(not frozen)
                asleep += [name] if frozen else []
        return asleep


def _only(part: dict[str, object], wanted: Collection[int]) -> dict[str, object] | None:
    """A parameter group with the wanted parameters alone; None where it has none of them."""
    weights, names = part["params"], part["names"]
    assert isinstance(weights, list)
    assert isinstance(names, list)
    kept = [(one, name) for one, name in zip(weights, names, strict=True) if id(one) in wanted]
    return {**part, "params": [one for one, _ in kept], "names": [name for _, name in kept]} if kept else None


def _beside(model: nn.Module, name: str) -> tuple[str, nn.Module]:
    """The norm itself, or for one without parameters the innermost module around it that has some; and its name."""
    found = model.get_submodule(name)
    while name and next(found.parameters(), None) is None:
        name = name.rpartition(".")[0]
        found = model.get_submodule(name)
    return name, found
