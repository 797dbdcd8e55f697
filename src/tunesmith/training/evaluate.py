"""Evaluation over a whole part: exact weights whatever the batch, the model and the random generators left as they were."""

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks import metrics
from tunesmith.blocks.losses import Loss
from tunesmith.blocks.optim.averaging import Average
from tunesmith.records import DataError
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, from_loader, moved, outputs_of, seen_by
from tunesmith.training.feeds import Rows
from tunesmith.training.precision import Precision
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.recovery.fitting import fitting
from tunesmith.training.recovery.room import Room

Array = np.ndarray[Any, Any]
LOG_RATES = ("poisson_nll",)  # losses whose outputs are logarithms of the prediction
IGNORED = -100  # no loss is taken there
GROUPS = 32  # of rows in the jackknife; assumption: enough for a standard error within an eighth


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A part as the model sees it: the loss, and outputs and targets row by row."""

    loss: float
    outputs: Array  # as the model gives them, float32 or float64
    target: Array
    weight: Array | None
    parts: Array | None = None  # sum and weight of the loss of each batch, (B, 2)


@contextmanager
def judging(model: nn.Module, average: Average | None = None) -> Iterator[nn.Module]:
    """The model in evaluation mode, holding the average where one is kept; every module's own mode is put back."""
    modes = [(module, module.training) for module in model.modules()]
    with ExitStack() as stack:
        if average is not None:
            stack.enter_context(average.in_place_of(model))
        model.eval()
        try:
            with torch.no_grad():
                yield model
        finally:
            for module, mode in modes:
                module.training = mode


def evaluate(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    precision: Precision,
    average: Average | None = None,
    *,
    keep: bool = True,
    room: Room | None = None,
    ranks: Ranks | None = None,
) -> Evaluated:
    """The loss over all batches, Σ sum / Σ weight, and the outputs. Raises `DataError` where there is no batch.

    With `room`, batches for which memory runs out are taken in parts. `ranks` take turns with the batches, and all get what
    one process would, number by number in the same order.
    """
    total, weight = 0.0, 0.0
    outputs: list[Tensor] = []
    targets: list[Tensor] = []
    weights: list[Tensor] = []
    parts: list[tuple[float, float]] = []
    with judging(model, average):

        def passed(batch: Batch) -> tuple[float, float, Tensor]:
            with precision.autocast():
                result = model(batch.inputs)
                part = loss(seen_by(loss, result), batch.target, batch.weight)
                output = outputs_of(result)
            told = output.detach().to("cpu", torch.float64 if output.dtype == torch.float64 else torch.float32)
            return float(part.sum), float(part.weight), told

        def seen() -> Iterator[Seen]:
            for place, whole in enumerate(batches):
                if ranks is not None and place % ranks.world != ranks.rank:
                    continue
                for batch, (part_sum, part_weight, output) in fitting(passed, [whole], room, precision.device):
                    given = None if batch.weight is None else batch.weight.cpu()
                    rows = (output, batch.target.cpu(), given) if keep else None
                    yield Seen(place, part_sum, part_weight, rows)

        for one in seen() if ranks is None else gathered(list(seen()), ranks):
            total += one.sum
            weight += one.weight
            parts.append((one.sum, one.weight))
            if one.rows is not None:
                outputs.append(one.rows[0])
                targets.append(one.rows[1])
                if one.rows[2] is not None:
                    weights.append(one.rows[2])
    if weight == 0.0:
        raise DataError("there is nothing to evaluate: the part has no rows, or all their weights are 0")
    return Evaluated(
        loss=total if loss.additive else total / weight,
        outputs=joined(outputs).numpy() if outputs else np.empty(0, np.float32),
        target=joined(targets, IGNORED).numpy() if targets else np.empty(0, np.float32),
        weight=torch.cat(weights).numpy() if weights else None,
        parts=np.array(parts, np.float64),
    )


class Seen(NamedTuple):
    """Of a batch, or a part of one: its place, sum and weight of its loss, and outputs, targets and weights of its rows."""

    place: int
    sum: float
    weight: float
    rows: tuple[Tensor, Tensor, Tensor | None] | None


def gathered(own: list[Seen], ranks: Ranks) -> list[Seen]:
    """What all ranks saw, in the order of the batches."""
    return sorted((one for part in ranks.everybodys(own) for one in part), key=lambda one: one.place)


def joined(batches: list[Tensor], filling: float = 0.0) -> Tensor:
    """The rows of all batches; those of texts, padded to a length of their own, are filled up to the longest."""
    longest = max((one.shape[1] for one in batches if one.dim() > 1), default=0)
    if all(one.dim() < 2 or one.shape[1] == longest for one in batches):
        return torch.cat(batches)
    filled = [one.new_full((len(one), longest, *one.shape[2:]), filling) for one in batches]
    for whole, one in zip(filled, batches, strict=True):
        whole[:, : one.shape[1]] = one
    return torch.cat(filled)


def batches_of(part: Any, batch_size: int, device: torch.device, dtype: torch.dtype) -> Iterator[Batch]:
    """The batches of a part in order: rows in memory are sliced, a loader is read."""
    if isinstance(part, Rows):
        order = torch.arange(len(part), device=part.device)
        for start in range(0, len(part), batch_size):
            yield part.take(order[start : start + batch_size])
        return
    random = random_state()  # opening a loader draws from the global generators; the training must not notice
    try:
        for item in part:
            yield moved(from_loader(item), device, dtype)
    finally:
        set_random_state(random)


def loss_noise(loss: Loss, seen: Evaluated) -> float:
    """One standard error of the loss of a part: jackknife over groups of rows. Efron (1982), section 3.

    NaN where there are fewer than two rows. A loss that compares samples is taken group by group.
    """
    rows = len(seen.target)
    if not rows and seen.parts is not None and len(seen.parts) > 1:  # outputs too large to keep: batches are the groups
        return jackknife(loss, *seen.parts.T)
    groups = min(GROUPS, rows)
    if groups < 2:
        return math.nan
    outputs, target = torch.from_numpy(seen.outputs), torch.from_numpy(seen.target)
    weight = None if seen.weight is None else torch.from_numpy(seen.weight)
    place = torch.arange(rows) % groups
    with torch.no_grad():
        parts = [
            loss(outputs[chosen], target[chosen], None if weight is None else weight[chosen])
            for chosen in (place == group for group in range(groups))
        ]
    sums = np.array([float(part.sum) for part in parts])
    return jackknife(loss, sums, np.array([float(part.weight) for part in parts]))


def jackknife(loss: Loss, sums: Array, weights: Array) -> float:
    """The standard error of Σ sum / Σ weight (of Σ sum where the loss is one) from those of groups."""
    groups = len(sums)
    if loss.additive:
        return float(math.sqrt(groups / (groups - 1) * np.sum((sums - sums.mean()) ** 2)))
    left_out = (sums.sum() - sums) / (weights.sum() - weights)
    return float(math.sqrt((groups - 1) / groups * np.sum((left_out - left_out.mean()) ** 2)))


def labelled(seen: Evaluated, kind: str) -> Array:
    """The target as metrics take it: class indices as whole numbers, also where a loss wanted them as floats."""
    return seen.target.reshape(-1).astype(np.int64) if kind in ("binary", "multiclass") else seen.target


def probabilities(outputs: Array, kind: str, loss_name: str) -> Array:
    """Outputs as probabilities: (N, C) for classes, (N, K) for several labels. Values are returned as they are, or as
    the rates that they are logarithms of.

    One logit for two classes becomes (N, 2); log-probabilities (a model for `NLLLoss`) are exponentiated, probabilities (for
    `BCELoss`) taken as they are.
    """
    values = outputs.astype(np.float64)
    if kind in ("regression", "multi_regression"):
        return np.exp(values) if loss_name in LOG_RATES else values
    given = "BCELoss" in loss_name
    if kind == "multilabel":
        return values if given else metrics.probabilities(kind, values)
    if values.ndim == 1 or values.shape[1] == 1:
        single = values.reshape(-1)
        positive = single if given else metrics.probabilities("multilabel", single)
        return np.stack([1 - positive, positive], axis=1)
    if "NLLLoss" in loss_name or "nll_loss" in loss_name:
        return np.exp(values)
    # Outputs that are not finite have no probabilities; the loss of the evaluation tells of them.
    with np.errstate(invalid="ignore"):
        return metrics.probabilities(kind, values)
