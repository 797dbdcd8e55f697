"""The optimizer of a run and the average of its weights, and what is told about them."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from tunesmith.blocks import optim
from tunesmith.blocks.optim.averaging import Average, EqualAverage, OwnAverage, WeightAverage
from tunesmith.blocks.optim.proximal import L1
from tunesmith.records import ModelError, Recipe, RecipeError, Source, Task, revise
from tunesmith.training.feeds import Feed
from tunesmith.training.pretrained.freezing import freezes
from tunesmith.training.update_clipping import UpdateClipping

GROUPS = (
    "layer_decay",
    "rates",
    "decays",
    "decay_norm",
    "decay_bias",
    "decay_embedding",
)  # fields that make a table worth it
OURS = ("lr_batch", "l1", *GROUPS, "decay_kind")  # have no meaning for an optimizer that the task brings


def made_optimizer(
    task: Task,
    recipe: Recipe,
    model: nn.Module,
    feed: Feed,
    notices: list[str],
    fresh: Collection[str] = (),
    widths: optim.Carried | None = None,
) -> tuple[torch.optim.Optimizer, Recipe]:
    """The user's optimizer over the model that is trained, or the recipe's; and the recipe with a schedule that fits it.

    `fresh` parameters belong to the head, in what the recipe says of body and head; `widths` carries rates from another width.
    """
    if task.optimizer is not None:
        optimizer = _users(task, recipe, model)
    else:
        lr = scaled_rate(recipe, feed, notices)
        chosen, told = optim.measured_kernel(recipe, model, lr)
        notices.extend([told] if told else [])
        optimizer = optim.build(chosen, model, lr, fresh, widths)
        notices.extend(_about_groups(recipe, optimizer))
    return optimizer, constant(task, recipe, optimizer, notices)


def _users(task: Task, recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    assert task.optimizer is not None
    without = [f"optim.{name}" for name in OURS if recipe.source(f"optim.{name}").kind not in ("default", "derived")]
    if without:
        raise RecipeError(
            f"{without[0]} is set, but the task brings its own optimizer, which it cannot reach; leave one of the two out"
        )
    frozen = freezes(recipe)  # else the user's own freezing is the user's own business
    made = task.optimizer(one for one in model.parameters() if one.requires_grad or not frozen)
    if not isinstance(made, torch.optim.Optimizer):
        raise ModelError(
            f"the optimizer factory returned a {type(made).__name__}; it gets the parameters and must return a torch.optim.Optimizer"
        )
    return made


def scaled_rate(recipe: Recipe, feed: Feed, notices: list[str]) -> float:
    """The recipe's rate, carried from `optim.lr_batch` to the run's effective batch where that is set, and told."""
    rate, meant = float(recipe.optim.lr), recipe.optim.lr_batch
    if meant is None:
        return rate
    batch = feed.batch_size * feed.accumulate
    if batch < 1:
        raise RecipeError(
            "optim.lr_batch is set, but the data loader does not tell its batch size; leave it out, or give a loader that has one"
        )
    name = "adamw" if recipe.optim.name == "auto" else recipe.optim.name
    base = recipe.optim.extra.get("base", "sgd") if name in ("sam", "lookahead") else name
    scaled = optim.scale_rate(rate, meant, batch, base, recipe.optim.lr_scale)
    notices.append(scaled.line)
    return scaled.lr


def _about_groups(recipe: Recipe, optimizer: torch.optim.Optimizer) -> list[str]:
    """Groups that are not the usual two, and the kind of decay that was asked for."""
    told = []
    untouched = Recipe().optim
    if any(getattr(recipe.optim, name) != getattr(untouched, name) for name in GROUPS):
        told += optim.group_lines(optimizer)
    if recipe.optim.decay_kind != "auto" or recipe.source("optim.weight_decay").kind not in ("default", "derived"):
        kind = optim.decay_kind(optimizer)
        if any(group.get("weight_decay") for group in optimizer.param_groups):
            words = {"decoupled": "decoupled from the step", "l2": "L2 in the gradient"}.get(kind, kind)
            told.append(f"weight decay {float(recipe.optim.weight_decay):g}: {words} ({recipe.optim.name})")
    return told


def constant(task: Task, recipe: Recipe, optimizer: torch.optim.Optimizer, notices: list[str]) -> Recipe:
    """Under a schedule-free optimizer a constant rate, where nobody asked for another; one that was asked for is told."""
    if not optim.is_schedule_free(optimizer) or recipe.schedule.name == "constant":
        return recipe
    name = type(optimizer).__name__
    if task.schedule is None and recipe.source("schedule.name").kind in ("default", "derived"):
        return revise(
            recipe, {"schedule.name": "constant"}, Source("derived", f"{name} averages in place of a schedule")
        )
    asked = "the task's own" if task.schedule is not None else repr(recipe.schedule.name)
    notices.append(
        f"{name} averages in place of a schedule, but the schedule is {asked}: its theory wants a rate that stays constant "
        "after the warm-up"
    )
    return recipe


def chosen_average(recipe: Recipe, model: nn.Module, optimizer: Any, steps: int, per_epoch: int) -> Average | None:
    """The average that is evaluated: the optimizer's own, an exponential or an equal one; none.

    Raises `RecipeError` for two at once, and for an equal one that would take no weights.
    """
    ema, swa = recipe.train.ema, recipe.train.swa
    own = optim.switches(optimizer)
    if sum((ema is not None, swa is not None, own)) > 1:
        names = [name for name, on in (("train.ema", ema is not None), ("train.swa", swa is not None)) if on]
        names += [type(optimizer).__name__] if own else []
        raise RecipeError(f"{' and '.join(names)} each average the weights; keep one of them")
    if own:
        return OwnAverage(model, optimizer)
    if ema is not None:
        return WeightAverage(model, ema)
    if swa is None:
        if recipe.train.swa_every is not None:
            raise RecipeError(
                "train.swa_every is set without train.swa; set the share of the run after which to average"
            )
        return None
    start, every = math.ceil(swa * steps), recipe.train.swa_every or per_epoch
    if steps // every * every < max(start, 1):
        raise RecipeError(
            f"train.swa = {swa:g} would average nothing: the run has {steps} updates, and none from {start} on is a multiple "
            f"of {every}; lower it, or set train.swa_every"
        )
    return EqualAverage(model, start, every)


def chosen_limit(recipe: Recipe, optimizer: torch.optim.Optimizer) -> UpdateClipping | None:
    """The limit on what a step changes; none where the recipe sets none. Raises `RecipeError` for optimizers it does not fit."""
    if recipe.optim.clip_update is None:
        return None
    if optim.needs_closure(optimizer) or optim.switches(optimizer):
        raise RecipeError(
            f"optim.clip_update cuts the one change of a step, but {type(optimizer).__name__} keeps other weights beside those or "
            "takes several steps at once; use another optimizer, or optim.clip_norm"
        )
    return UpdateClipping(optimizer, recipe.optim.clip_update)


def chosen_shrinkage(recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer) -> L1 | None:
    """The L1 penalty of the recipe, applied after each update; none for 0."""
    if not recipe.optim.l1:
        if recipe.optim.l1_only:
            raise RecipeError("optim.l1_only is set without optim.l1; set the strength of the penalty")
        return None
    if optim.switches(optimizer):
        raise RecipeError(
            f"optim.l1 shrinks the trained weights, but {type(optimizer).__name__} evaluates others, which would have no "
            "exact zeros; use another optimizer"
        )
    return L1(model, optimizer, recipe.optim.l1, recipe.optim.l1_only)
