"""Which parameters an optimizer moves, and which of them decay."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList
from torch.optim import Optimizer

from tunesmith.records import ModelError

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
NORM_NAME = re.compile(r"norm(\d?d)?$", re.IGNORECASE)  # a norm layer that is not torch's: RMSNorm, LayerNorm2d


def groups(model: nn.Module, weight_decay: float, decay_all: bool = False) -> list[dict[str, Any]]:
    """The trainable parameters, each once: first those that decay, then those that do not; empty groups are left out.

    Biases, gains of norm layers and embeddings do not decay, unless `decay_all`. A weight that an embedding shares with
    another layer counts as an embedding. `names` are those of the first use.
    """
    spared = set() if decay_all else _spared(model)
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    _refuse_untrainable(model, named)
    split = [
        (weight_decay, [(name, weight) for name, weight in named if weight_decay and id(weight) not in spared]),
        (0.0, [(name, weight) for name, weight in named if not weight_decay or id(weight) in spared]),
    ]
    return [
        {"params": [weight for _, weight in part], "weight_decay": decay, "names": [name for name, _ in part]}
        for decay, part in split
        if part
    ]


def _refuse_untrainable(model: nn.Module, named: list[tuple[str, nn.Parameter]]) -> None:
    if not named:
        frozen = frozen_parameters(model)
        why = f"all {len(frozen)} are frozen: {_few(frozen)}" if frozen else "it has no parameters at all"
        raise ModelError(
            f"the model {type(model).__name__} has nothing to train ({why}); set requires_grad=True on some of its "
            "parameters"
        )
    lazy = [name for name, weight in named if is_lazy(weight)]
    if lazy:
        raise ModelError(f"the shape of {_few(lazy)} is not known yet; call the model on one batch before training it")


def _spared(model: nn.Module) -> set[int]:
    """Ids of the parameters that do not decay."""
    return {
        id(weight)
        for layer in model.modules()
        for name, weight in layer.named_parameters(recurse=False)
        if not is_lazy(weight) and _is_spared(layer, name, weight)
    }


def _is_spared(layer: nn.Module, name: str, weight: Tensor) -> bool:
    if weight.ndim < 2 or isinstance(layer, EMBEDDINGS + NORMS):
        return True
    if name == "bias" or name.startswith("bias_") or name.endswith("_bias"):
        return True
    lengths = sum(size > 1 for size in weight.shape)
    foreign_norm = bool(NORM_NAME.search(type(layer).__name__)) and lengths <= 1  # a gain of shape (1, C, 1, 1)
    return foreign_norm or _is_magnitude(layer, name)


def _is_magnitude(layer: nn.Module, name: str) -> bool:
    """The length g of weight normalisation, arXiv:1602.07868, eq. 2."""
    if isinstance(layer, ParametrizationList):
        return name == "original0" and type(layer[0]).__name__ == "_WeightNorm"
    return name.endswith("_g") and hasattr(layer, name[:-2] + "_v")


def frozen_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters that no optimizer will move."""
    return [name for name, weight in model.named_parameters() if not weight.requires_grad]


def missing_parameters(model: nn.Module, optimizer: Optimizer) -> list[str]:
    """Names of the trainable parameters that `optimizer` does not hold."""
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    return [name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in held]


def layer_table(model: nn.Module, parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each layer with parameters of its own: name, kind, shape, parameters, init_std, decay, trainable.

    `shape` and `init_std` are those of its largest parameter, `parameters` counts a shared one where it comes first,
    and `decay` says whether any of them decays.
    """
    decaying = {id(weight) for part in parts if part.get("weight_decay") for weight in part["params"]}
    return list(_rows(model, decaying))


def _rows(model: nn.Module, decaying: set[int]) -> Iterator[dict[str, Any]]:
    counted: set[int] = set()
    for name, layer in model.named_modules():
        own = [weight for weight in layer.parameters(recurse=False) if not is_lazy(weight)]
        if not own:
            continue
        largest = max(own, key=Tensor.numel)
        new = [weight for weight in own if id(weight) not in counted]
        counted.update(map(id, new))
        yield {
            "name": name or type(model).__name__,
            "kind": type(layer).__name__,
            "shape": tuple(largest.shape),
            "parameters": sum(weight.numel() for weight in new),
            "init_std": _std(largest),
            "decay": any(id(weight) in decaying for weight in own),
            "trainable": any(weight.requires_grad for weight in own),
        }


def _std(weight: Tensor) -> float:
    values = weight.detach().to(torch.float64 if weight.dtype == torch.float64 else torch.float32)
    return float(values.std(correction=0)) if values.numel() else 0.0


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")
