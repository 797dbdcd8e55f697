"""From the recipe's schedule to the rates of a run: warm-up, units, momentum, what it listens to, a batch that grows."""

import inspect
from typing import Any

import torch

from tunesmith.blocks import schedules
from tunesmith.blocks.optim.scaling import rule_for
from tunesmith.records import Recipe, RecipeError, Source, Task, revise
from tunesmith.records.derived import updates_of
from tunesmith.training.feeds import Feed
from tunesmith.training.judge import ValidationJudge
from tunesmith.training.rates import Rates, holds_momentum


def chosen_rates(
    task: Task,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    feed: Feed,
    judge: ValidationJudge,
    steps: int,
    notices: list[str],
) -> Rates:
    """The rates of a run of `steps` updates. Raises `RecipeError` for a schedule that this run cannot follow."""
    per_epoch, batch = feed.updates(), max(1, feed.batch_size * feed.accumulate)
    _check_sized(recipe, feed)
    schedule: Any = task.schedule
    if schedule is None:
        warmup = updates_of(recipe.schedule.warmup, total=steps, per_epoch=per_epoch, effective_batch=batch)
        section = directed(recipe, judge).schedule
        known = per_epoch if feed.sized else None
        schedule = schedules.build(section, steps, warmup, per_epoch=known, effective_batch=batch)
    if watched := schedules.watches_of(schedule):
        judge.listen(watched, feed)
    growth = None
    if recipe.schedule.grow_batch is not None:
        rule = rule_for(optimizer)
        if rule not in ("linear", "sqrt"):
            raise RecipeError(
                f"schedule.grow_batch: no law ties the rate of {type(optimizer).__name__} to a batch; leave it out, or take sgd "
                "or adamw"
            )
        schedule, growth = schedules.grow(
            schedule, recipe.schedule.grow_batch, rule="linear" if rule == "linear" else "sqrt"
        )
        notices.append(
            f"the batch of {batch} rows grows up to {recipe.schedule.grow_batch:g} times as the schedule decays, by accumulation; "
            f"the rate makes up the rest ({rule} rule for {type(optimizer).__name__})"
        )
    cycles = cycled(recipe, schedule, optimizer, notices)
    return Rates(optimizer, schedule, growth=growth, per_epoch=per_epoch, cycle_momentum=cycles)


def cycled(recipe: Recipe, schedule: Any, optimizer: torch.optim.Optimizer, notices: list[str]) -> bool:
    """Whether the momentum goes against the rate. Raises `RecipeError` where that was asked for and cannot be."""
    if schedules.momentum_of(schedule) is None or not recipe.schedule.cycle_momentum:
        return False
    if all(map(holds_momentum, optimizer.param_groups)):
        return True
    lacks = f"{recipe.schedule.name} cycles the momentum, and {type(optimizer).__name__} has none"
    if recipe.source("schedule.cycle_momentum").kind != "default":
        raise RecipeError(f"{lacks}; take sgd or adamw, or leave schedule.cycle_momentum out")
    notices.append(f"{lacks}: it moves the rate alone")
    return False


def _check_sized(recipe: Recipe, feed: Feed) -> None:
    """What is counted in epochs needs to know how long one is."""
    section = recipe.schedule
    field = "warmup" if str(section.warmup).endswith("ep") else "grow_batch" if section.grow_batch is not None else ""
    if field and not feed.sized:
        raise RecipeError(
            f"schedule.{field} = {getattr(section, field)!r} needs the length of an epoch, which the data loader does not know; "
            'give updates or a share of the run such as "0.05dur", or leave it out'
        )


def directed(recipe: Recipe, judge: ValidationJudge) -> Recipe:
    """A schedule that watches the score is told which way is better, where the recipe does not say."""
    section = recipe.schedule
    takes = inspect.signature(schedules.SCHEDULES[section.name]).parameters
    if "mode" not in takes or section.extra.get("watches") != "score" or section.extra.get("mode", "auto") != "auto":
        return recipe
    extra = {**section.extra, "mode": judge.better}
    return revise(recipe, {"schedule.extra": extra}, Source("derived", f"{judge.name}: {judge.better} is better"))
