"""Adapters added to the weights they stand beside: W + (α / r) B A, arXiv:2106.09685, section 4.1."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.lora import NAME, LoraLinear
from tunesmith.records import ModelError
from tunesmith.training.adapters.inserting import BASE, MARK

DOWN, UP = f".lora_A.{NAME}.weight", f".lora_B.{NAME}.weight"


def merge(model: nn.Module) -> nn.Module:
    """The net without adapters and with their effect, in place; every parameter trains again. Gives the net.

    Raises `ModelError` for a net without an adapter.
    """
    adapted = [(name, layer) for name, layer in model.named_modules() if hasattr(layer, "base_layer")]
    if not adapted:
        raise ModelError(f"the net {type(model).__name__} has no adapter to merge")
    for name, layer in adapted:
        base = layer.base_layer
        assert isinstance(base, nn.Linear)
        with torch.no_grad():
            base.weight.add_(_product(layer))
        model.set_submodule(name, base)
    return model.requires_grad_(True)


def merged_weights(weights: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """The same for a state dict: the names and weights of the net without adapters."""
    merged = {name.replace(BASE, "."): value for name, value in weights.items() if MARK not in name}
    for name, down in weights.items():
        if name.endswith(DOWN):
            layer = name.removesuffix(DOWN)
            merged[f"{layer}.weight"] = merged[f"{layer}.weight"] + (
                scale * weights[layer + UP].double() @ down.double()
            ).to(down.dtype)
    return merged


def _product(layer: Any) -> Tensor:
    down, up = (getattr(layer, part)[NAME].weight for part in ("lora_A", "lora_B"))
    factor = layer.scale if isinstance(layer, LoraLinear) else layer.scaling[NAME]  # PEFT's name for it
    product: Tensor = (factor * up.double() @ down.double()).to(up.dtype)
    return product
