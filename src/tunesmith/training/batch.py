"""A batch as the loop sees it, whoever made it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from tunesmith.blocks.losses import Loss
from tunesmith.data.live import parted
from tunesmith.records import ModelError


class Batch(NamedTuple):
    """Inputs as the model takes them, target, weights of the samples, and how many samples."""

    inputs: Any  # a tensor, or a dict or tuple of tensors
    target: Tensor
    weight: Tensor | None
    size: int


Window: TypeAlias = Sequence[Batch]  # the micro-batches of one update


def from_loader(item: Any) -> Batch:
    """What a `DataLoader` gave: `(x, y)`, `(x, y, weight)`, or a mapping with one of `tunesmith.data.live.TARGETS`.

    Raises `DataError` for anything else.
    """
    inputs, target = parted(item, "data loader")
    weight = torch.as_tensor(item[2]) if not isinstance(item, Mapping) and len(item) == 3 else None
    held = torch.as_tensor(target)
    return Batch(inputs, held, weight, len(held) if held.dim() else 1)


def moved(tree: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """The tensors of a nested batch on a device; floating ones as `dtype` where it is given."""
    if isinstance(tree, Tensor):
        return tree.to(device, dtype if dtype is not None and tree.is_floating_point() else None, non_blocking=True)
    if isinstance(tree, Batch):
        return Batch(
            moved(tree.inputs, device, dtype),
            moved(tree.target, device, dtype),
            moved(tree.weight, device, dtype),
            tree.size,
        )
    if isinstance(tree, Mapping):
        return {key: moved(value, device, dtype) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(moved(value, device, dtype) for value in tree)
    return tree


def outputs_of(result: Any) -> Tensor:
    """The tensor a model means by its result: itself, `.logits`, `["logits"]`, or the first of a tuple."""
    if isinstance(result, Tensor):
        return result
    logits = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    if isinstance(result, (list, tuple)) and result and isinstance(result[0], Tensor):
        return result[0]
    raise ModelError(
        f"the model returned a {type(result).__name__}; expected a tensor, a tuple that begins with one, or something with `logits`"
    )


def seen_by(loss: Loss, result: Any) -> Any:
    """What a loss is given of a model's result: as it is for a user's own and for one of several outputs, else the tensor in it."""
    whole = loss.opaque or getattr(loss, "whole", False)
    return result if whole or isinstance(result, Tensor) else outputs_of(result)
