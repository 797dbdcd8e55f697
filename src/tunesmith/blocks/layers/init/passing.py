"""One batch through a model that is afterwards as it was: modes, attributes, buffers, gradients, random generators."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.init.vocabulary import tensors_in
from tunesmith.records import ModelError
from tunesmith.records.state import random_state, set_random_state


@contextmanager
def untouched(model: nn.Module, *, evaluating: bool = True) -> Iterator[None]:
    """The model in evaluation mode (or as it stands), and every trace of a pass taken back, bit for bit.

    Taken back are the modes, the plain attributes of its modules, the buffers with their values, and all global random
    generators. Parameters and their gradients are not written by a pass.
    """
    modules = list(model.modules())
    attributes = [dict(vars(module)) for module in modules]
    buffers = [[(name, held, _copied(held)) for name, held in module._buffers.items()] for module in modules]
    random = random_state()
    try:
        if evaluating:
            model.eval()
        yield
    finally:
        set_random_state(random)
        for module, before, kept in zip(modules, attributes, buffers, strict=True):
            vars(module).clear()
            vars(module).update(before)
            module._buffers.clear()
            for name, held, value in kept:
                module._buffers[name] = held
                if held is not None and value is not None and not torch.equal(held, value):
                    with torch.no_grad():
                        held.copy_(value)


def _copied(held: Tensor | None) -> Tensor | None:
    return None if held is None else held.detach().clone()


def plain(model: nn.Module) -> nn.Module:
    """The model itself, of one that `torch.compile` wraps."""
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


def refuse_lazy(model: nn.Module) -> None:
    """Raises `ModelError` where a layer does not know its shape yet."""
    for name, parameter in model.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise ModelError(
                f"the layer {name.rpartition('.')[0] or 'itself'} is lazy and has no shape yet; "
                "send one batch through the model first, then initialise it"
            )


def called(model: nn.Module, batch: Any) -> Any:
    """What the model gives for a batch: a tensor, a tuple of its arguments, a dict of them, or a dict as one argument.

    A tuple is spread where the model takes that many arguments, a dict where its keys name them. Arrays become tensors,
    and all go to the device of the model. Raises `ModelError` for a batch that the model does not take.
    """
    batch = placed(batch, next(model.parameters(), torch.empty(0)).device)
    args, given = _spread(model, batch)
    try:
        return model(*args, **given)
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the model does not take this batch: {type(error).__name__}: {text}; give its inputs alone, as in model(batch)"
        ) from error


def placed(tree: Any, device: torch.device) -> Any:
    """A nested batch on a device; arrays as tensors."""
    if isinstance(tree, np.ndarray):
        tree = torch.from_numpy(tree)
    if isinstance(tree, Tensor):
        return tree.to(device)
    if isinstance(tree, nn.utils.rnn.PackedSequence):
        return tree.to(str(device))  # type: ignore[arg-type]  # its lengths stay on the CPU
    if isinstance(tree, Mapping):
        return {key: placed(value, device) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(placed(value, device) for value in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(placed(value, device) for value in tree)
    return tree


def _spread(model: nn.Module, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    signature = inspect.signature(model.forward)
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "_fields") and _binds(signature, *batch):
        return tuple(batch), {}
    if isinstance(batch, dict) and all(isinstance(key, str) for key in batch) and _binds(signature, **batch):
        return (), batch
    return (batch,), {}


def _binds(signature: inspect.Signature, *args: Any, **given: Any) -> bool:
    try:
        signature.bind(*args, **given)
    except TypeError:
        return False
    return True


def refuse_empty(batch: Any) -> None:
    """Raises `ModelError` for a batch without entries, or without tensors."""
    found = [t for t in tensors_in(_as_tensors(batch)) if t.numel()]
    if not found:
        raise ModelError("the batch is empty; give one with as many rows as fit, as model(batch) takes it")


def _as_tensors(batch: Any) -> Any:
    return placed(batch, torch.device("cpu")) if isinstance(batch, np.ndarray) else batch
