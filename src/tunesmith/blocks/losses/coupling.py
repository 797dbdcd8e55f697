"""Does a loss compare samples with each other? Then micro-batches do not add up to the big batch."""

import copy
import math
from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor

from tunesmith.blocks.losses.loss import Loss, Reduced, tensors


def couples_samples(loss: Loss, outputs: Any, target: Any) -> float:
    """Largest relative difference between the loss of a batch and that of two parts of it put together.

    The parts are the two halves, and every third row against the rest. A loss that takes samples one by one shows only
    rounding (about 1e-7 in float32), a contrastive one far more; nan where the loss is; 0 for fewer than two rows.
    """
    first = next(tensors(outputs, target), None)
    rows = 0 if first is None or first.dim() == 0 else len(first)
    if rows < 2:
        return 0.0
    order = torch.arange(rows)
    with torch.no_grad():
        whole = loss(outputs, target)
        differences = []
        for chosen in (order < rows // 2, order % 3 == 0):
            parts = [loss(_rows(outputs, mask, rows), _rows(target, mask, rows)) for mask in (chosen, ~chosen)]
            differences.append(_relative(_value(loss, [whole]), _value(loss, parts)))
    return math.nan if any(map(math.isnan, differences)) else max(differences)


def _rows(nest: Any, mask: Tensor, rows: int) -> Any:
    if isinstance(nest, Tensor):
        return nest[mask.to(nest.device)] if nest.dim() and len(nest) == rows else nest
    if isinstance(nest, MutableMapping):
        part = copy.copy(nest)  # keeps the class: some models return mappings with attributes
        part.update({key: _rows(value, mask, rows) for key, value in nest.items()})
        return part
    if isinstance(nest, list | tuple):
        values = [_rows(value, mask, rows) for value in nest]
        named = getattr(type(nest), "_make", None)
        return named(values) if named else type(nest)(values)
    return nest


def _value(loss: Loss, parts: list[Reduced]) -> float:
    total = sum(float(part.sum) for part in parts)
    weight = 1.0 if loss.additive else sum(float(part.weight) for part in parts)
    return total / weight if weight else math.nan


def _relative(one: float, other: float) -> float:
    largest = max(abs(one), abs(other))
    return abs(one - other) / largest if largest else 0.0
