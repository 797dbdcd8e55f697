"""A `Task` with a `Recipe` on the bench: the very model, loss, optimizer and rows that `fit` would train with."""

from typing import Any

from torch import Tensor

from tunesmith.blocks.losses import Loss
from tunesmith.data import prepare
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.records import Clock, Program, Recipe, Task
from tunesmith.training.batch import seen_by
from tunesmith.training.feeds import Rows
from tunesmith.training.plan import evaluation_part, make
from tunesmith.training.precision import Precision
from tunesmith.training.session import seeded


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
    program = Program(
        plan.state.model,
        MeanLoss(plan.update.loss),
        plan.state.optimizer,
        train,
        parts["val"],
        batch_size=max(1, plan.feed.batch_size),
        epochs=max(1, round(plan.epochs)),
        shuffle=settled.data.sampler != "sequential",
        accumulate=plan.feed.accumulate,
        clip_norm=plan.update.clip_norm,
        num_classes=prepared.outputs if prepared.kind in ("binary", "multiclass") else None,
        test=parts["test"],
        seed=settled.train.seed,
        device=str(device),
    )
    return Bench(program, clock=clock, task=task, recipe=settled, prepared=prepared, made=made, kind=prepared.kind)
