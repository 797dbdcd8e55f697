"""A batch as the loop sees it, whoever made it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from tunesmith.blocks.losses import Loss
from tunesmith.records import ModelError

_TARGETS = ("target", "targets", "label", "labels", "y")


class Batch(NamedTuple):
    """Inputs as the model takes them, target, weights of the samples, and how many samples."""

    inputs: Any  # a tensor, or a dict or tuple of tensors
    target: Tensor
    weight: Tensor | None
    size: int


Window: TypeAlias = Sequence[Batch]  # the micro-batches of one update


def from_loader(item: Any) -> Batch:
    """What a `DataLoader` gave: `(x, y)`, `(x, y, weight)`, or a mapping with one of target, targets, label, labels, y.

    Raises `ModelError` for anything else.
    """
    if isinstance(item, Mapping):
        named = [name for name in _TARGETS if name in item]
        if len(named) == 1:
            inputs = {key: value for key, value in item.items() if key != named[0]}
            target = torch.as_tensor(item[named[0]])
            return Batch(inputs, target, None, len(target))
    elif isinstance(item, (list, tuple)) and len(item) in (2, 3):
        target = torch.as_tensor(item[1])
        return Batch(item[0], target, torch.as_tensor(item[2]) if len(item) == 3 else None, len(target) if target.dim() else 1)
    shape = f"a {type(item).__name__}" + (f" of {len(item)}" if hasattr(item, "__len__") else "")
    raise ModelError(f"the data loader gave {shape}; expected (inputs, target), (inputs, target, weight) or a mapping with one of {', '.join(_TARGETS)}")


def moved(tree: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """The tensors of a nested batch on a device; floating ones as `dtype` where it is given."""
    if isinstance(tree, Tensor):
        return tree.to(device, dtype if dtype is not None and tree.is_floating_point() else None, non_blocking=True)
    if isinstance(tree, Batch):
        return Batch(moved(tree.inputs, device, dtype), moved(tree.target, device, dtype), moved(tree.weight, device, dtype), tree.size)
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
    raise ModelError(f"the model returned a {type(result).__name__}; expected a tensor, a tuple that begins with one, or something with `logits`")


def seen_by(loss: Loss, result: Any) -> Any:
    """What a loss is given of a model's result: a user's own, unknown loss gets it as it is, the others the tensor in it."""
    return result if loss.opaque or isinstance(result, Tensor) else outputs_of(result)
