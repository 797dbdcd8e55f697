"""A model held still while its loss is looked at from other weights: batches fixed, evaluation mode, all put back."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import losses
from tunesmith.records import DataError, ModelError
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, from_loader, moved
from tunesmith.training.fixed_loss import FixedLoss


@contextmanager
def fixed_loss(model: nn.Module, loss: Any, batches: Any) -> Iterator[FixedLoss]:
    """The loss as a function of the weights, inside a `with`; afterwards the model is bit for bit what it was.

    `loss` is any loss(outputs, target) of a mean, or one of `LOSSES`; `batches` a list of (x, y) or (x, y, weight), or one
    such pair of tensors. Weights, buffers, gradients, modes and the global random generators are put back, also after an
    error. Raises `DataError` where there is no batch, `ModelError` where nothing can be trained.
    """
    adopted, random = losses.adopt(loss), random_state()
    _refuse_untrainable(model)
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    fixed: FixedLoss | None = None
    try:
        model.eval()
        fixed = FixedLoss(model, adopted, held_batches(batches, next(model.parameters()).device), random)
        yield fixed
    finally:
        if fixed is not None:
            fixed.back()
        for buffer, before in buffers:
            if not torch.equal(buffer, before):
                buffer.copy_(before)
        for module, mode in modes:
            module.training = mode
        set_random_state(random)


def held_batches(batches: Any, device: torch.device) -> list[Batch]:
    """The batches on a device: those of a list or a loader, or one pair of tensors."""
    one = isinstance(batches, tuple) and all(isinstance(part, Tensor) for part in batches)
    listed: Iterable[Any] = [batches] if one else batches
    found = [moved(item if isinstance(item, Batch) else from_loader(item), device) for item in listed]
    if not found:
        raise DataError("there are no batches to look at; give a list with at least one (inputs, target)")
    return found


def _refuse_untrainable(model: nn.Module) -> None:
    if any(nn.parameter.is_lazy(tensor) for tensor in model.parameters()):
        raise ModelError("the model has lazy parameters without a shape yet; run one batch through it first")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("the model has no trainable parameter, so its loss has no curvature; unfreeze what is meant")
