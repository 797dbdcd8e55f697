"""May a batch be cut? Not where its rows are compared with each other: then parts are another loss, or another model."""

from typing import Any

from torch import Tensor, nn

from tunesmith.blocks import losses
from tunesmith.blocks.losses import Loss
from tunesmith.training.batch import Batch, outputs_of, seen_by
from tunesmith.training.evaluate import judging
from tunesmith.training.recovery.cutting import cut, uncuttable

ROWS = 8  # that are looked at
GAP = 1e-3  # far above rounding in single precision, far below the gap of a contrastive loss (as in plan.coupled)


def few(batch: Batch) -> Batch | None:
    """The first rows of a batch, copied; None where there are too few, or they cannot be cut out."""
    if batch.size < 4 or uncuttable(batch):
        return None
    part = cut(batch, ROWS)[0]
    return Batch(_copied(part.inputs), _copied(part.target), _copied(part.weight), part.size)


def refusal(model: nn.Module, loss: Loss, batch: Batch | None) -> str:
    """Why batches of this model and loss may not be cut; "" where they may, or where too few rows are there to tell."""
    if loss.couples:
        return (
            f"the loss {loss.name} compares the rows of a batch with each other, so that parts of it are another loss"
        )
    if batch is None:
        return ""
    with judging(model):
        whole = model(batch.inputs)
        gap = losses.couples_samples(loss, seen_by(loss, whole), batch.target)
        if gap > GAP:
            return (
                f"the loss {loss.name} compares the rows of a batch with each other (the parts of one differ from the whole by "
                f"{gap:.2g} of it), so that parts of it are another loss"
            )
        apart = _apart(outputs_of(whole), [outputs_of(model(part.inputs)) for part in cut(batch, batch.size // 2)])
    if apart > GAP:
        return f"the model mixes the rows of a batch (outputs of a part differ by {apart:.2g} of their size), so it cannot be cut"
    return ""


def _apart(whole: Tensor, parts: list[Tensor]) -> float:
    start, largest = 0, 0.0
    for part in parts:
        if not part.dim() or part.shape[1:] != whole.shape[1:]:
            return 0.0  # padded to the longest row of the part: rows cannot be compared
        largest = max(largest, float((whole[start : start + len(part)] - part).abs().max()))
        start += len(part)
    scale = float(whole.abs().max())
    return largest / scale if scale > 0 else 0.0


def _copied(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {name: _copied(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_copied(value) for value in tree)
    return tree
