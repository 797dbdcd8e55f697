"""First batch under weight normalisation. Salimans & Kingma, arXiv:1602.07868, section 3."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from tunesmith.blocks.layers.init.filling import is_weight_normed, length_of
from tunesmith.blocks.layers.init.lsuv import heard, in_order
from tunesmith.blocks.layers.init.passing import called, plain, refuse_empty, refuse_lazy, untouched
from tunesmith.records import ModelError


def data_dependent(model: nn.Module, batch: Any) -> list[str]:
    """g = 1 / std[t], b = -mean[t] / std[t], with t = v·x / ‖v‖ by unit on the batch: outputs get mean 0 and deviation 1.

    For every linear layer and convolution under weight normalisation, in the order of the pass, so that each sees what
    the ones before it now give; the names of these layers are returned. The directions v stay as they are; draw them
    before. The pass is in evaluation mode, and nothing but g and b is changed.

    Raises `ModelError` where no layer is weight-normed, one has no bias or is called more than once, or a unit is
    constant on the batch.
    Source: arXiv:1602.07868, eq. 5 and 6; the deviation is the biased one.
    """
    refuse_empty(batch)
    model = plain(model)
    refuse_lazy(model)
    found = {name: called for name, called in in_order(model, batch).items() if is_weight_normed(called[0])}
    if not found:
        raise ModelError(
            f"no layer of the {type(model).__name__} that the batch reaches is under weight normalisation; wrap its layers "
            "in torch.nn.utils.parametrizations.weight_norm first, or use lsuv"
        )
    for name, (module, calls) in found.items():
        _check(name, module, calls)
    for name, (module, _) in found.items():
        _start(model, batch, name, module)
    return list(found)


def _check(name: str, module: nn.Module, calls: int) -> None:
    if getattr(module, "bias", None) is None:
        raise ModelError(
            f"the weight-normed layer {name} has no bias to centre its outputs with; make it with bias=True"
        )
    if calls > 1:
        raise ModelError(
            f"the weight-normed layer {name} is called {calls} times in a pass; one scale cannot fit them all"
        )
    units = cast(Tensor, module.bias).numel()
    if length_of(module).numel() != units:
        raise ModelError(
            f"the layer {name} has {length_of(module).numel()} lengths for {units} units; norm its weight by unit "
            f"(dim={int(isinstance(module, _ConvTransposeNd))})"
        )


@torch.no_grad()
def _start(model: nn.Module, batch: Any, name: str, module: nn.Module) -> None:
    length, bias = length_of(module), cast(nn.Parameter, module.bias)
    length.fill_(1.0)
    bias.zero_()
    outputs = _outputs(model, batch, module)
    mean, std = outputs.mean(1), outputs.std(1, unbiased=False)
    if bool((std <= 0).any()) or not bool(torch.isfinite(std).all()):
        unit = int((~(std > 0)).nonzero()[0]) if bool((~(std > 0)).any()) else 0
        raise ModelError(
            f"unit {unit} of the layer {name} has deviation {float(std[unit]):.3g} on this batch; give a larger batch, or "
            "one that is no constant"
        )
    length.copy_((1 / std).reshape(length.shape))
    bias.copy_(-mean / std)


def _outputs(model: nn.Module, batch: Any, layer: nn.Module) -> Tensor:
    """What a layer gives, by unit. Shape: (units, rows and positions)."""
    found: list[Tensor] = []

    def seen(_: str, module: nn.Module, output: Tensor) -> None:
        if module is layer:
            dims = layer.weight.dim() - 2  # type: ignore[operator]
            by_unit = output.movedim(-1 - dims if isinstance(layer, _ConvNd) else -1, 0)
            found.append(by_unit.flatten(1).double())

    with untouched(model), torch.no_grad(), heard(model, seen):
        called(model, batch)
    return found[0]
