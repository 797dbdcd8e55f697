"""The judge inside a run: validation loss and score over the whole part, and the noise of that score."""

from typing import Any

import numpy as np
import torch

from tunesmith.blocks import metrics
from tunesmith.blocks.losses import Loss
from tunesmith.blocks.optim.averaging import Average
from tunesmith.data.spec import Prepared
from tunesmith.records import Recipe, RecipeError, Task
from tunesmith.records.state import State
from tunesmith.training.evaluate import Evaluated, batches_of, evaluate, labelled, loss_noise, probabilities
from tunesmith.training.feeds import Feed, MemoryFeed, Rows
from tunesmith.training.norms import Norms
from tunesmith.training.precision import Precision
from tunesmith.training.ranks.joining import check_drift
from tunesmith.training.ranks.norms import share_buffers
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.recovery.room import Room
from tunesmith.training.watching import WATCHES


class ValidationJudge:
    """Calls a state good or better by the recipe's metric; without validation rows every state is the best so far."""

    def __init__(
        self, part: Any, loss: Loss, precision: Precision, prepared: Prepared, recipe: Recipe, task: Task
    ) -> None:
        self.part = part
        self.loss = loss
        self.precision = precision
        self.prepared = prepared
        scored = prepared.kind != "language" and getattr(loss, "scored", True)
        derived = recipe.source("eval.metric").kind == "derived"
        self.name = "loss" if not scored or (derived and getattr(loss, "judges", False)) else recipe.eval.metric
        self.own = task.metric if callable(task.metric) else None
        self.batch_size = int(recipe.eval.batch_size)
        self.needs_noise = recipe.train.patience is not None
        self.watched: tuple[str, ...] = ()  # what the schedule listens to
        self.norms: Norms | None = None  # of averaged weights, taken anew
        self.ranks: Ranks | None = None  # the first one's row holds
        self.divides = (
            True  # the ranks divide the batches; else each passes all of them, where layers talk to each other
        )
        self.room: Room | None = None  # where batches may be taken in parts when memory runs out
        self.training_rows: Rows | None = None  # judged too, where it listens to the training error
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
        if self.ranks is None:
            return self._judged(state)
        if self.divides:
            check_drift(self.ranks, state.model, state.step)
        share_buffers(self.ranks, state)
        row: dict[str, Any] = self.ranks.firsts(self._judged(state))
        return row

    def _judged(self, state: State) -> dict[str, Any]:
        if self.norms is not None:
            self.norms(state)
        told = {"train_error": self.train_error(state)} if "train_error" in self.watched else {}
        if self.part is None:
            return {"val_loss": None, "metric": self.name, "score": None, "noise": 0.0, **told}
        average = state.average if isinstance(state.average, Average) else None
        batches = batches_of(self.part, self.batch_size, self.precision.device, self.precision.dtype)
        ranks = self.ranks if self.divides else None
        keep = self.prepared.kind != "language" or self.own is not None  # the logits of every token are many
        seen = evaluate(
            state.model, self.loss, batches, self.precision, average, keep=keep, room=self.room, ranks=ranks
        )
        score, noise = self.scored(seen)
        row = {
            "val_loss": seen.loss,
            "metric": self.name if self.own is None else getattr(self.own, "__name__", "own"),
            "score": score,
            "noise": noise,
            **told,
        }
        return row | {"loss_noise": loss_noise(self.loss, seen)} if "val_loss" in self.watched else row

    def listen(self, watches: tuple[str, ...], feed: Feed) -> None:
        """Measures from now on what a schedule watches. Raises `RecipeError` for what this run cannot measure."""
        for name in watches:
            if name not in WATCHES:
                raise RecipeError(f"the schedule watches {name!r}; a run measures {', '.join(WATCHES)}")
            if name in ("val_loss", "score") and self.part is None:
                raise RecipeError(
                    f"the schedule watches {name}, but there are no validation rows; give some (data.val), or let it watch "
                    "'train_loss'"
                )
        if "train_error" in watches:
            if self.prepared.kind not in ("binary", "multiclass") or not isinstance(feed, MemoryFeed):
                raise RecipeError(
                    "the schedule watches train_error, which needs classes, and training rows in memory; let it watch "
                    "'train_loss'"
                )
            self.training_rows = feed.rows
        self.watched = watches
        self.needs_noise |= "score" in watches

    def train_error(self, state: State) -> float:
        """Share of the training rows that the model gets wrong, in evaluation mode."""
        batches = batches_of(self.training_rows, self.batch_size, self.precision.device, self.precision.dtype)
        seen = evaluate(state.model, self.loss, batches, self.precision, room=self.room)
        chances = probabilities(seen.outputs, self.prepared.kind, self.loss.name)
        return float(np.mean(chances.argmax(axis=1) != labelled(seen, self.prepared.kind)))

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
