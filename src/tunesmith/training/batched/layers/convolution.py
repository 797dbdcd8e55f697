"""Convolutions: as one convolution in groups where maps are small, else trial after trial.

Grouped, K nets are one convolution of K times the channels, in K groups, at the price of a copy of its inputs and outputs. On a CPU
it pays for small maps, where one convolution is mostly overhead; on large ones torch's kernels for groups are the slower ones.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from tunesmith.training.batched.layers.layer import Layer, Stack, adds, named, refuse, same

aten = torch.ops.aten

LARGEST_GROUPED_MAP = 64  # positions of a map, on a CPU; measured: docs/benchmarks/batched.md, convolutions


class Convolution(Layer):
    """y = W * x + b. Shape: (K, N, C, *positions) -> (K, N, C', *positions'), with W (K, C', C / groups, *kernel), b (K, C')."""

    def __init__(self, stack: Stack, names: dict[str, str], layer: Any, padding: list[int]) -> None:
        super().__init__(stack, names)
        self.window = (list(layer.stride), padding, list(layer.dilation), False, [0] * len(padding))
        self.groups = int(layer.groups)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.grouped = x.device.type != "cpu" or prod(x.shape[3:]) <= LARGEST_GROUPED_MAP
        if self.grouped:
            x = x.transpose(0, 1).flatten(1, 2)  # (N, K * C, *positions)
        if training:
            self.x = x
        weight, bias = self.views["weight"], self.views.get("bias")
        if not self.grouped:
            parts = zip(x, weight, [None] * len(weight) if bias is None else bias, strict=True)
            return torch.stack([aten.convolution(*part, *self.window, self.groups) for part in parts])
        flat = None if bias is None else bias.reshape(-1)
        y = aten.convolution(x, weight.flatten(0, 1), flat, *self.window, self.groups * len(weight))
        return cast(Tensor, y.unflatten(1, (len(weight), -1)).transpose(0, 1).contiguous())

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        weight = self.views["weight"]
        kept = [wanted, True, "bias" in self.views]
        if self.grouped:
            dx, dw, db = self._back(dy.transpose(0, 1).flatten(1, 2), self.x, weight.flatten(0, 1), len(weight), kept)
            dx = dx.unflatten(1, (len(weight), -1)).transpose(0, 1) if wanted else dy
        else:
            parts = [self._back(*part, 1, kept) for part in zip(dy, self.x, weight, strict=True)]
            dx, dw, db = (
                torch.stack(found) if keep else dy for found, keep in zip(zip(*parts, strict=True), kept, strict=True)
            )
        self.put("weight", dw)
        if kept[2]:
            self.put("bias", db)
        return cast(Tensor, dx)

    def _back(self, dy: Tensor, x: Tensor, weight: Tensor, nets: int, kept: list[bool]) -> Any:
        """Gradients of input, weight and bias, of those that are kept."""
        channels = [weight.shape[0]]
        return aten.convolution_backward(dy, x, weight, channels, *self.window, self.groups * nets, kept)


@adds(nn.Conv1d, nn.Conv2d)
def convolution(layers: Sequence[nn.Conv2d], place: str, stack: Stack) -> Layer:
    same(layers, place, "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    first = layers[0]
    if first.padding_mode != "zeros":
        raise refuse(first, place, f"its padding is {first.padding_mode!r}, and only zeros have a stacked form")
    return Convolution(stack, named(first, place), first, padding_of(first, place))


def padding_of(layer: nn.Conv2d, place: str) -> list[int]:
    """The zeros put before and after each dimension; refuses those that differ."""
    if layer.padding == "valid":
        return [0] * len(layer.kernel_size)
    if layer.padding != "same":
        return [int(one) for one in layer.padding]
    total = [reach * (size - 1) for reach, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    if any(one % 2 for one in total):
        raise refuse(layer, place, "padding 'same' with an even kernel puts more zeros after than before")
    return [one // 2 for one in total]
