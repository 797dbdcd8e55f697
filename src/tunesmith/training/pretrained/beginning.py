"""How the net of a run begins where it is not drawn anew: weights, dropout, frozen parts; and what is told about it."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tunesmith.blocks import experience, optim
from tunesmith.data.spec import Prepared
from tunesmith.records import Recipe, RecipeError
from tunesmith.training.pretrained.adapting import beside
from tunesmith.training.pretrained.architecture import run_of
from tunesmith.training.pretrained.dropout import set_dropout
from tunesmith.training.pretrained.freezing import Freezing, freezes, frozen_by, layers_of
from tunesmith.training.pretrained.taking import few, take
from tunesmith.training.pretrained.tokens import known_by, widened
from tunesmith.training.pretrained.weights import weights_of

LOOKED_UP = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was done to a net before its first update."""

    fresh: Sequence[str] = ()  # parameters that were not in the weights taken
    frozen: Sequence[str] = ()  # by the recipe
    notices: Sequence[str] = ()


def is_pretrained(recipe: Recipe) -> bool:
    """Whether the net comes trained: weights are named, or a part of it is to stay as it is."""
    return recipe.model.pretrained is not None or freezes(recipe)


def begun(model: nn.Module, recipe: Recipe, prepared: Prepared, name: str) -> Beginning:
    """Takes weights, sets dropout in a net of the user's own, and freezes, as the recipe says. `name`: of a built-in net, else "".

    Raises `RecipeError`, `ModelError` and `CheckpointError` for what cannot be.
    """
    notices: list[str] = []
    fresh: Sequence[str] = ()
    chosen = recipe.model
    if chosen.pretrained is not None:
        _refuse_overwriting(recipe)
        weights, widening = widened(weights_of(chosen.pretrained, name), model, recipe, prepared)
        notices += widening
        strangers = of_other_meaning(model, recipe, prepared)
        taken = take(model, weights, chosen.pretrained, [name for names in strangers.values() for name in names])
        fresh = taken.fresh
        notices += taken.lines(chosen.pretrained)
        where = "there" if run_of(recipe) is None else "in that run"
        notices += [f"{why} {where}, so these begin fresh: {few(names)}" for why, names in strangers.items()]
        if chosen.output_bias == "data" and not optim.last_layer(model) & set(fresh):
            raise RecipeError(
                "model.output_bias = 'data' would overwrite the last layer, which model.pretrained brings; leave one of them out"
            )
    if not name and chosen.dropout != "auto":
        layers = set_dropout(model, float(chosen.dropout))
        notices.append(f"dropout {float(chosen.dropout):g} in {_many(len(layers), 'layer')} of the net: {few(layers)}")
    if chosen.lora:
        adapted = beside(model, recipe, fresh, prepared.kind, name)
        return Beginning(adapted.fresh, adapted.frozen, [*notices, *adapted.lines()])
    frozen = frozen_by(recipe, model, fresh) if freezes(recipe) else []
    named = dict(model.named_parameters())
    for one in frozen:
        named[one].requires_grad_(False)
    return Beginning(fresh, frozen, notices)


def _refuse_overwriting(recipe: Recipe) -> None:
    asked = [
        name
        for name, on in (
            ("model.init = 'lsuv'", recipe.model.init == "lsuv"),
            ("model.zero_residual", recipe.model.zero_residual),
        )
        if on
    ]
    if asked:
        raise RecipeError(f"{asked[0]} would overwrite weights of model.pretrained; leave one of the two out")


def of_other_meaning(model: nn.Module, recipe: Recipe, prepared: Prepared) -> dict[str, list[str]]:
    """Parameters whose rows mean something else where the weights are of, whatever their shape; by the reason."""
    run = run_of(recipe)
    if run is None:
        return known_by(model, recipe, prepared)
    described, pipeline = run._json("model.json") or {}, run._json("data/pipeline.json") or {}
    found: dict[str, list[str]] = {}
    classes = None if prepared.classes is None else list(prepared.classes)
    if (described.get("kind"), described.get("classes")) != (prepared.kind, plain(classes)):
        found["the classes are others"] = sorted(optim.last_layer(model))
    here = {} if prepared.pipeline is None else plain(prepared.pipeline.to_json())
    if {"tokens", "categories"} & set(prepared.spec) and pipeline.get("blocks") != here.get("blocks"):
        found["words and levels are numbered otherwise"] = tables(model)
    return {why: names for why, names in found.items() if names}


def plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value, default=lambda one: one.item()))


def tables(model: nn.Module) -> list[str]:
    """The parameters of layers that look rows up by their number."""
    return [
        ".".join(filter(None, (name, one)))
        for name, layer in model.named_modules()
        if isinstance(layer, LOOKED_UP)
        for one, _ in layer.named_parameters(recurse=False)
    ]


def freezing_of(
    recipe: Recipe,
    model: nn.Module,
    beginning: Beginning,
    optimizer: torch.optim.Optimizer,
    *,
    own_optimizer: bool,
    epochs: int,
) -> tuple[Freezing | None, list[str]]:
    """What stays frozen in the loop and until when; and what to tell. None where the recipe freezes nothing."""
    if not freezes(recipe):
        return None, []
    layers, every, fresh = layers_of(model, beginning.frozen), recipe.model.unfreeze_every, beginning.fresh
    first = optimizer.param_groups[0]
    rate = float(first["lr"]) / first.get("rate", 1.0)
    groups = None if own_optimizer else lambda model: optim.parts_of(recipe, model, rate, fresh)
    freezing = Freezing(layers, every, groups)
    asleep = freezing.settle(model)
    return freezing, [*_said(model, beginning.frozen), *_norms(asleep), *_plan(layers, every, epochs)]


def _said(model: nn.Module, frozen: Collection[str]) -> list[str]:
    every = dict(model.named_parameters())
    trained = sum(one.numel() for one in every.values() if one.requires_grad)
    return [
        f"{len(frozen)} of {len(every)} parameters are frozen: {few(frozen)}; {trained:,} of {sum(one.numel() for one in every.values()):,} "
        "numbers train"
    ]


def _norms(asleep: Sequence[str]) -> list[str]:
    return [f"{_many(len(asleep), 'batch norm')} of what is frozen in evaluation mode: {few(asleep)}"] if asleep else []


def _plan(layers: Sequence[Sequence[str]], every: int | None, epochs: int) -> list[str]:
    if every is None:
        return []
    done = min(len(layers), (epochs - 1) // every)
    left = (
        f"; the first {len(layers) - done} stay frozen, for the run has {epochs} epochs" if done < len(layers) else ""
    )
    return [f"unfreezing: one of {len(layers)} layers every {_many(every, 'epoch')}, from the head down{left}"]


def faster_body(
    recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer | None, fresh: Collection[str]
) -> list[str]:
    """What is remarked where the body of a pretrained net gets a larger rate than its head."""
    ratio = head_over_body(recipe, model, optimizer, fresh)
    return (
        [] if ratio is None else [str(one) for one in experience.lint({"rates.head_over_body": ratio}, pretrained=True)]
    )


def head_over_body(
    recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer | None, fresh: Collection[str]
) -> float | None:
    """The smallest rate of the head over the largest of the body that ever trains; None where there are no two, or nothing is pretrained.

    `optimizer`: the user's own, whose groups have the rates; None for the recipe's.
    """
    if not is_pretrained(recipe):
        return None
    if optimizer is None:
        rates = optim.rate_factors(model, recipe.optim.layer_decay, rates=recipe.optim.rates, fresh=fresh)
    else:
        held = {id(one): float(group["lr"]) for group in optimizer.param_groups for one in group["params"]}
        rates = {name: held[id(one)] for name, one in model.named_parameters() if id(one) in held}
    thaws = recipe.model.unfreeze_every is not None
    trained = {name for name, one in model.named_parameters() if one.requires_grad or thaws}
    parts = optim.body_and_head(model, fresh)
    head, body = ([rate for name, rate in rates.items() if name in parts[part] & trained] for part in ("head", "body"))
    return min(head) / max(body) if head and body else None


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
