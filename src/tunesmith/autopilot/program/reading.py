"""What the model of a program says of held rows: probabilities or values where its task is recognised, else the loss of each row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.autopilot.judging import Scorer
from tunesmith.autopilot.program.losses import Losses
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.source import Source
from tunesmith.records import ModelError, Program
from tunesmith.training.batch import Batch
from tunesmith.training.evaluate import probabilities

Array = np.ndarray[Any, Any]
AT_ONCE = 256  # rows of a forward pass
NUMBERS = ("regression", "multi_regression")
CLASSED = ("binary", "multiclass")
JUDGED = (*CLASSED, *NUMBERS, "multilabel")  # kinds that a metric is known for
TORCH_NAMES = {"nll_loss": "NLLLoss", "binary_cross_entropy": "BCELoss"}  # functions that are named as modules here


@dataclass(frozen=True)
class Rows:
    """Some rows of a part of a program, in the order of their numbers."""

    source: Source
    places: Tensor

    def __len__(self) -> int:
        return len(self.places)

    def batches(self) -> Iterator[Batch]:
        """All of them."""
        for start in range(0, len(self.places), AT_ONCE):
            yield self.source.take(self.places[start : start + AT_ONCE])


@dataclass(frozen=True)
class Seen:
    """The program's own loss on rows, and what its model says of them, as the scorer takes it."""

    loss: float
    said: Array


class Reading:
    """Reads a program on rows of a part; `scorer` judges what it says.

    The loss is that of the program as it was brought, so that a change of the loss is judged by the same.
    """

    def __init__(self, bench: Bench, rows: Rows) -> None:
        self.kind, self.rows, self.loss_fn = bench.kind, rows, bench.program.loss_fn
        target = torch.cat([batch.target.cpu() for batch in rows.batches()])
        self.target = _target(target, self.kind)
        self.classes = _classes(bench, self.target) if self.kind in CLASSED else None
        self.scorer = self._scorer(bench)

    def _scorer(self, bench: Bench) -> Scorer | Losses:
        own = bench.program
        named = own.metric if isinstance(own.metric, str) else None
        if self.kind not in JUDGED:
            return Losses(len(self.rows))
        made = Scorer(self.kind, named or "auto", self.target, classes=self.classes, positive=1)
        made.name = made.metric.name
        try:
            said = self._answers(bench.twin())[1]
            fits = said.shape == self.target.shape or (said.ndim == 2 and self.kind in CLASSED)
        except (ModelError, ValueError, IndexError, RuntimeError) as error:
            fits, reason = False, str(error).splitlines()[0]
        else:
            reason = f"outputs of shape {said.shape[1:]} and targets of shape {self.target.shape[1:]}"
        if fits:
            return made
        if named:
            raise ModelError(
                f"metric={named!r} cannot be computed of this program ({reason}); leave the metric out to be judged by the loss"
            )
        return Losses(len(self.rows))

    def look(self, twin: Twin) -> Seen:
        """The loss, and what is said. Random numbers and modes are as they were."""
        judged = Twin(twin.model, self.loss_fn, twin.optimizer, None, twin.program)
        if isinstance(self.scorer, Losses):
            each = torch.cat([judged.losses(batch).cpu() for batch in self.rows.batches()]).double().numpy()
            return Seen(float(each.mean()), each)
        loss, said = self._answers(judged)
        return Seen(loss, said)

    def _answers(self, twin: Twin) -> tuple[float, Array]:
        losses, outputs, sizes = [], [], []
        for batch in self.rows.batches():
            loss, found = twin.judged(batch)
            losses.append(loss)
            outputs.append(found.cpu())
            sizes.append(batch.size)
        return float(np.average(losses, weights=sizes)), said_of(
            torch.cat(outputs), self.kind, twin.program, self.target, self.classes
        )


def said_of(outputs: Tensor, kind: str, program: Program, target: Array, classes: tuple[int, ...] | None) -> Array:
    """Outputs as metrics take them: (N, C) for classes, (N, K) for several labels, values in the shape of the target.

    Raises `ValueError` where they are no answers to it.
    """
    if kind in CLASSED and classes is not None and program.predict is not None:
        labels = np.asarray(program.predict(outputs)).reshape(-1).astype(np.int64)
        return np.asarray(np.eye(len(classes))[labels])
    values = outputs.double().numpy()
    if kind in NUMBERS:
        return np.asarray(values.reshape(target.shape))
    if kind == "binary" and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    loss = program.loss_fn
    name = getattr(loss, "__name__", type(loss).__name__)
    chances = np.asarray(probabilities(values, kind, TORCH_NAMES.get(name, name)))
    if classes is not None and chances.shape != (len(target), len(classes)):
        raise ValueError(f"outputs of shape {tuple(outputs.shape)} are no answers to {len(classes)} classes")
    return chances


def _classes(bench: Bench, target: Array) -> tuple[int, ...]:
    """0 … C - 1, by what the program says of them, else by its outputs and targets."""
    most = max(int(target.max()), int(_target(torch.as_tensor(bench.target), bench.kind).max()))
    told = bench.program.num_classes
    if bench.kind == "binary":
        return (0, 1)
    if told is None:
        with torch.no_grad():
            outputs = bench.twin().answers(bench.batch(2, "width"))
        told = outputs.shape[1] if outputs.dim() == 2 else most + 1
    return tuple(range(max(told, most + 1)))


def _target(target: Tensor, kind: str) -> Array:
    """Class numbers, also of one-hot rows and of -1 and 1; numbers and several labels as they are."""
    if kind not in CLASSED:
        found = target.double().numpy() if kind in NUMBERS else target.long().numpy()
        return np.asarray(found.reshape(len(found)) if kind == "regression" else found)
    if target.dim() == 2 and target.shape[1] > 1:
        return np.asarray(target.argmax(1).numpy())
    flat = target.reshape(-1)
    if kind == "binary":
        return np.asarray(((flat > 0) if bool((flat < 0).any()) else (flat > 0.5)).long().numpy())
    return np.asarray(flat.long().numpy())


def constant(reading: Reading, train: Array) -> Array | None:
    """What the best constant answer says of the rows, learnt from training targets; None where the loss alone judges."""
    if isinstance(reading.scorer, Losses):
        return None
    target = _target(torch.as_tensor(train), reading.kind)
    count = len(reading.rows)
    if reading.classes is not None:
        share = np.bincount(target, minlength=len(reading.classes)) / len(target)
        return np.tile(share, (count, 1))
    return np.broadcast_to(target.mean(axis=0), reading.target.shape).copy()


def own_metric(program: Program, model: nn.Module, rows: Rows) -> dict[str, float]:
    """The value of a metric that is a function of the program's own, by its name; empty where there is none."""
    metric = program.metric
    if metric is None or isinstance(metric, str):
        return {}
    whole = rows.source.take(rows.places)
    name = getattr(metric, "__name__", "metric")
    try:
        with torch.no_grad():
            return {name: float(metric(model.eval(), whole.inputs, whole.target))}
    except Exception as error:  # whatever a user's own function raises
        raise ModelError(f"the metric {name!r} raises: {type(error).__name__}: {error}") from error
