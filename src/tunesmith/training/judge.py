"""The judge inside a run: validation loss and score over the whole part, and the noise of that score."""

from typing import Any

import torch

from tunesmith.blocks import metrics
from tunesmith.blocks.losses import Loss
from tunesmith.blocks.optim.averaging import WeightAverage
from tunesmith.data.spec import Prepared
from tunesmith.records import Recipe, Task
from tunesmith.records.state import State
from tunesmith.training.evaluate import Evaluated, batches_of, evaluate, labelled, probabilities
from tunesmith.training.precision import Precision


class ValidationJudge:
    """Calls a state good or better by the recipe's metric; without validation rows every state is the best so far."""

    def __init__(
        self, part: Any, loss: Loss, precision: Precision, prepared: Prepared, recipe: Recipe, task: Task
    ) -> None:
        self.part = part
        self.loss = loss
        self.precision = precision
        self.prepared = prepared
        self.name = "loss" if prepared.kind == "language" else recipe.eval.metric
        self.own = task.metric if callable(task.metric) else None
        self.batch_size = int(recipe.eval.batch_size)
        self.needs_noise = recipe.train.patience is not None
        self.better = (
            "max"
            if self.own is not None
            else (
                "min"
                if self.name == "loss"
                else metrics.metric(self.name, kind=prepared.kind, classes=prepared.classes).better
            )
        )

    def __call__(self, state: State) -> dict[str, Any]:
        if self.part is None:
            return {"val_loss": None, "metric": self.name, "score": None, "noise": 0.0}
        average = state.average if isinstance(state.average, WeightAverage) else None
        batches = batches_of(self.part, self.batch_size, self.precision.device, self.precision.dtype)
        seen = evaluate(state.model, self.loss, batches, self.precision, average)
        score, noise = self.scored(seen)
        return {
            "val_loss": seen.loss,
            "metric": self.name if self.own is None else getattr(self.own, "__name__", "own"),
            "score": score,
            "noise": noise,
        }

    def scored(self, seen: Evaluated) -> tuple[float, float]:
        """The metric and its standard error."""
        if self.own is not None:
            return float(self.own(torch.from_numpy(seen.outputs), torch.from_numpy(seen.target))), 0.0
        if self.name == "loss":
            return seen.loss, 0.0
        target = labelled(seen, self.prepared.kind)
        prediction = probabilities(seen.outputs, self.prepared.kind, self.loss.name)
        prediction = prediction.reshape(target.shape) if prediction.size == target.size else prediction
        about: dict[str, Any] = {
            "classes": self.prepared.classes,
            "positive": self.prepared.positive,
            "weight": seen.weight,
        }
        score = metrics.scores(self.prepared.kind, target, prediction, names=(self.name,), **about)[self.name]
        noise = metrics.noise(self.name, self.prepared.kind, target, prediction, **about) if self.needs_noise else 0.0
        return score, noise

    def improves(self, score: float, best: float | None, noise: float = 0.0) -> bool:
        """Whether a score beats the best by more than the noise; one that is no number never does."""
        if score != score:
            return False
        if best is None or best != best:
            return True
        return score > best + noise if self.better == "max" else score < best - noise
