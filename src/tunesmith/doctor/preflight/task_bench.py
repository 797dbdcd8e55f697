"""A `Task` with a `Recipe` on the bench: the very model, loss, optimizer and rows that `fit` would train with."""

import copy
from typing import Any

from torch import Tensor

from tunesmith.blocks import schedules
from tunesmith.blocks.losses import Loss
from tunesmith.data import prepare
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.records import Clock, Program, Recipe, Task
from tunesmith.training.batch import seen_by
from tunesmith.training.feeds import Rows
from tunesmith.training.loop import Plan
from tunesmith.training.plan import evaluation_part, make
from tunesmith.training.precision import Precision
from tunesmith.training.session import seeded

MOVED = ("lr", "momentum", "betas")  # what a schedule sets


class MeanLoss:
    """A `Loss` as a function of what the model gives, the target and the rows' weights: its mean (its sum where that is minimised)."""

    takes_weight = True

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, result: Any, target: Tensor, weight: Tensor | None = None) -> Tensor:
        found = self.loss(seen_by(self.loss, result), target, weight)
        return found.sum if self.loss.additive else found.value


def bench_of_task(task: Task, recipe: Recipe, *, clock: Clock | None = None) -> Bench:
    """The bench of a training that `fit(task, recipe)` would carry out. Raises what `fit` would refuse."""
    with seeded(recipe.train.seed, deterministic=recipe.train.deterministic):
        prepared = prepare(task, recipe)
        made = make(task, recipe, prepared)
    plan = made.plan
    settled = plan.recipe
    device = next(plan.state.model.parameters()).device
    precision = Precision(settled.train.precision, device)
    rows = getattr(plan.feed, "rows", None)
    train = rows if isinstance(rows, Rows) else prepared.train
    parts = {part: evaluation_part(getattr(prepared, part), prepared, device, precision) for part in ("val", "test")}
    scheduler = followed(plan)
    program = Program(
        plan.state.model,
        MeanLoss(plan.update.loss),
        plan.state.optimizer,
        train,
        parts["val"],
        batch_size=max(1, plan.feed.batch_size),
        epochs=max(1, round(plan.epochs)),
        shuffle=settled.data.sampler != "sequential",
        scheduler=scheduler,
        schedule_unit="step",
        accumulate=plan.feed.accumulate,
        clip_norm=plan.update.clip_norm,
        num_classes=prepared.outputs if prepared.kind in ("binary", "multiclass") else None,
        test=parts["test"],
        seed=settled.train.seed,
        device=str(device),
    )
    return Bench(program, clock=clock, task=task, recipe=settled, prepared=prepared, made=made, kind=prepared.kind)


def followed(plan: Plan) -> Any:
    """The plan's schedule over the updates of the run, as a scheduler of torch that is stepped after each; None for a constant rate.

    The optimizer keeps its peak rates until a training on the bench begins (`courses`), for what is read off it is the recipe.
    Trainings on the bench evaluate nothing on the way, so a schedule that listens keeps to its warm-up; where the batch grows in
    place of the decay, the rate stays.
    """
    rates = plan.rates
    if rates.growth is not None:
        return None
    factors = [schedules.factor_at(rates.factor, step, ()) for step in range(plan.steps)]
    if all(factor == 1.0 for factor in factors) and rates.momentum is None:
        return None
    groups = plan.state.optimizer.param_groups
    peaks = [copy.deepcopy({name: group[name] for name in MOVED if name in group}) for group in groups]
    made = schedules.to_torch(rates.factor, plan.state.optimizer, momentum=rates.momentum is not None)
    for group, peak in zip(groups, peaks, strict=True):
        group.update(peak)
    return made
