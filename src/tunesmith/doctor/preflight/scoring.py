"""How well outputs fit their targets, as one number that is 1 at best and means the same for every loss: a tool of the checks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch

SCORED = ("binary", "multiclass", "multilabel", "regression", "multi_regression", "language")
NUMBERS = ("regression", "multi_regression")


def need_step(bench: Bench) -> None:
    """Raises `Inapplicable` where the program cannot make a single update: another check tells of that."""

    def tried() -> str:
        random = random_state()
        try:
            batch = bench.fed(1)[0]
            bench.twin().step([batch] * max(1, bench.program.accumulate))
        except Exception as error:  # whatever a user's own code raises
            return f"{type(error).__name__}: {error}".splitlines()[0][:300]
        finally:
            set_random_state(random)
        return ""

    reason = bench.kept("scoring.step", tried)
    if reason:
        raise Inapplicable(f"the program raises in its first update ({reason})")


def need_score(bench: Bench) -> None:
    """Raises `Inapplicable` where the outputs are no answers to the targets, so that there is no such number."""
    if bench.kind not in SCORED:
        raise Inapplicable(f"a {bench.kind} task has no score to judge a short training by")
    need_step(bench)
    reason = bench.kept("scoring.reason", lambda: _unscored(bench))
    if reason:
        raise Inapplicable(reason)


def _unscored(bench: Bench) -> str:
    batch = bench.batch(32, "scoring")
    outputs = bench.twin().judged(batch)[1]
    if bench.kind == "multiclass" and bench.program.predict is None:
        width = outputs.shape[1] if outputs.dim() > 1 else 1
        classes = bench.program.num_classes or int(bench.target.max()) + 1
        if width != classes and not isinstance(bench.program.loss_fn, nn.CrossEntropyLoss | nn.NLLLoss):
            return f"the {width} outputs are not those of {classes} classes: an embedding has no score"
    if bool(torch.isfinite(outputs.float()).all()) and np.isnan(score(bench, outputs, batch.target)):
        return f"outputs of shape {tuple(outputs.shape)} are no answers to targets of shape {tuple(batch.target.shape)}"
    return ""


def score(bench: Bench, outputs: Tensor, target: Tensor) -> float:
    """Share of right labels, of classes the mean over the classes; or 1 - squared error / variance of the targets.

    NaN where the shapes do not belong together.
    """
    outputs, target = outputs.detach().cpu(), target.detach().cpu()
    if not bool(torch.isfinite(outputs.float()).all()):
        return float("-inf") if bench.kind in NUMBERS else 0.0
    if bench.kind in NUMBERS:
        return explained(outputs, target)
    labels, wanted = labels_of(bench, outputs, target)
    if labels.shape != wanted.shape:
        return float("nan")
    return balanced(labels, wanted) if bench.classed else float((labels == wanted).float().mean())


def balanced(labels: Tensor, wanted: Tensor) -> float:
    """Share of right labels, class by class, the mean over the classes: a weighed loss may give up common rows for rare ones."""
    hits = (labels == wanted).double()
    return float(torch.stack([hits[wanted == one].mean() for one in torch.unique(wanted)]).mean())


def explained(outputs: Tensor, target: Tensor) -> float:
    """R², over all columns together, each about its own mean."""
    if outputs.numel() != target.numel():
        return float("nan")
    values, wanted = outputs.double().reshape(len(target), -1), target.double().reshape(len(target), -1)
    spread = float(((wanted - wanted.mean(0)) ** 2).sum())
    return 1.0 - float(((values - wanted) ** 2).sum()) / spread if spread > 0 else float("nan")


def labels_of(bench: Bench, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true labels, of one shape where they can be."""
    if bench.program.predict is not None and bench.task is None:
        labels = torch.as_tensor(np.asarray(bench.program.predict(outputs))).cpu()
        return labels.reshape(-1).long(), _true(target, labels).reshape(-1).long()
    if bench.kind == "language":
        return _tokens(outputs, target)
    single = outputs.dim() == 1 or outputs.shape[1] == 1 or outputs.numel() == target.numel()
    if single or bench.kind == "multilabel":
        middle = 0.5 if _chances(bench, outputs) else 0.0
        positive = (target > 0) if bool((target < 0).any()) else (target > 0.5)
        return (outputs.reshape(-1) > middle).long(), positive.reshape(-1).long()
    return outputs.argmax(1).reshape(-1), _true(target, outputs).reshape(-1).long()


def _true(target: Tensor, outputs: Tensor) -> Tensor:
    """Class numbers, also where the targets are one-hot rows or probabilities."""
    one_hot = target.dim() == 2 and target.shape[1] > 1 and (target.shape == outputs.shape or outputs.dim() == 1)
    return target.argmax(1) if one_hot else target


def _tokens(outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    axis = 1 if outputs.dim() == 3 and outputs.shape[2] == target.shape[-1] != outputs.shape[1] else -1
    labels = outputs.argmax(axis).reshape(-1)
    wanted = target.reshape(-1)
    if labels.shape != wanted.shape:
        return labels, wanted
    real = wanted >= 0
    return labels[real], wanted[real]


def _chances(bench: Bench, outputs: Tensor) -> bool:
    if isinstance(bench.program.loss_fn, nn.BCEWithLogitsLoss | nn.SoftMarginLoss | nn.MultiLabelSoftMarginLoss):
        return False
    return isinstance(bench.program.loss_fn, nn.BCELoss) or bool(((outputs >= 0) & (outputs <= 1)).all())


def chance(bench: Bench, target: Tensor) -> float:
    """The score of the best constant answer."""
    if bench.kind in NUMBERS:
        return 0.0
    if bench.kind == "multilabel":
        rate = (target.double() > 0.5).double().mean(0)
        return float(torch.maximum(rate, 1 - rate).mean())
    wanted = _true(target, target[:, 0] if target.dim() == 2 else target).reshape(-1)
    wanted = wanted[wanted >= 0] if bench.kind == "language" else wanted
    _, counts = torch.unique(wanted, return_counts=True)
    return 1 / len(counts) if bench.classed else float(counts.max()) / len(wanted)


def judged(bench: Bench, twin: Twin, batch: Batch, at_once: int = 256) -> tuple[float, float]:
    """Loss (mean over chunks) and score of a copy on rows, in evaluation mode."""
    losses, outputs, sizes = [], [], []
    for start in range(0, batch.size, at_once):
        part = some(batch, slice(start, start + at_once))
        loss, found = twin.judged(part)
        losses.append(loss)
        outputs.append(found.cpu())
        sizes.append(part.size)
    return float(np.average(losses, weights=sizes)), score(bench, torch.cat(outputs), batch.target)


def some(batch: Batch, places: Any) -> Batch:
    """Some rows of a batch."""

    def picked(tree: Any) -> Any:
        if isinstance(tree, Tensor):
            return tree[places]
        if isinstance(tree, dict):
            return {name: picked(value) for name, value in tree.items()}
        if isinstance(tree, tuple | list):
            return type(tree)(picked(value) for value in tree)
        return tree

    target = batch.target[places]
    weight = None if batch.weight is None else batch.weight[places]
    return Batch(picked(batch.inputs), target, weight, len(target))
