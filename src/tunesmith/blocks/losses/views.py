"""Several embeddings of each sample, as models return them."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses.loss import single_precision
from tunesmith.records import ModelError


def views(outputs: Any, target: Any, count: int, name: str) -> tuple[Tensor, ...]:
    """`count` tensors (N, D): a tuple or list of them, one (N, count, D), or of two (N, D) and a target of that shape."""
    if isinstance(outputs, list | tuple):
        found = tuple(outputs)
    elif isinstance(outputs, Tensor) and outputs.dim() == 3 and outputs.shape[1] == count:
        found = outputs.unbind(1)
    elif count == 2 and isinstance(outputs, Tensor) and isinstance(target, Tensor) and outputs.shape == target.shape:
        found = (outputs, target.to(outputs.dtype))
    else:
        found = ()
    fits = len(found) == count and all(isinstance(one, Tensor) and one.dim() == 2 for one in found)
    if not fits or len({one.shape for one in found}) != 1:
        shapes = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in found]
        came = shapes or (tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__)
        raise ModelError(
            f"{name} got {came} as outputs, {count} embeddings (N, D) of each sample were expected: a tuple of tensors, or "
            f"one of shape (N, {count}, D)"
        )
    return tuple(single_precision(one) for one in found)


def similarity(left: Tensor, right: Tensor) -> Tensor:
    """Cosines of all pairs (N, M), in full precision also under autocast: at a low temperature rounding is large."""
    with torch.autocast(left.device.type, enabled=False):
        return functional.normalize(left, dim=-1) @ functional.normalize(right, dim=-1).T
