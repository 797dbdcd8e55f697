"""Poolings of pictures, with torch's kernels over trials and rows as one batch; and means over positions."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from tunesmith.training.batched.layers.layer import Layer, Stack, adds, refuse, same

aten = torch.ops.aten
Saved = tuple[Any, ...]


class Pooling(Layer):
    """Pools every picture alone. Shape: (K, N, C, H, W) -> (K, N, C, H', W').

    `pool` gives the pooled pictures and what `back` needs besides them: of dy, x and that.
    """

    def __init__(
        self, stack: Stack, pool: Callable[[Tensor], tuple[Tensor, Saved]], back: Callable[..., Tensor]
    ) -> None:
        super().__init__(stack)
        self.pool, self.back = pool, back

    def forward(self, x: Tensor, training: bool) -> Tensor:
        flat = x.flatten(0, 1)
        y, saved = self.pool(flat)
        if training:
            self.x, self.saved = flat, saved
        return y.view(*x.shape[:2], *y.shape[1:])

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        if not wanted:
            return dy
        return self.back(dy.flatten(0, 1), self.x, *self.saved).view(*dy.shape[:2], *self.x.shape[1:])


class Mean(Layer):
    """The mean over all positions. Shape: (K, N, C, *positions) -> (K, N, C)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if training:
            self.shape = x.shape
        return x.flatten(3).mean(-1)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        positions = self.shape[3:]
        share = dy / positions.numel()
        return share.view(*dy.shape, *(1,) * len(positions)).expand(self.shape) if wanted else dy


@adds(nn.MaxPool2d)
def max_pool(layers: Sequence[nn.MaxPool2d], place: str, stack: Stack) -> Layer:
    same(layers, place, "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    of = layers[0]
    if of.return_indices:
        raise refuse(of, place, "it gives indices beside the pooled values")
    window = [list(_pair(one)) for one in (of.kernel_size, of.stride, of.padding, of.dilation)]

    def pool(x: Tensor) -> tuple[Tensor, Saved]:
        y, indices = aten.max_pool2d_with_indices(x, *window, of.ceil_mode)
        return y, (*window, of.ceil_mode, indices)

    return Pooling(stack, pool, aten.max_pool2d_with_indices_backward)


@adds(nn.AvgPool2d)
def average_pool(layers: Sequence[nn.AvgPool2d], place: str, stack: Stack) -> Layer:
    settings = ("ceil_mode", "count_include_pad", "divisor_override")
    same(layers, place, "kernel_size", "stride", "padding", *settings)
    of = layers[0]
    window = [list(_pair(one)) for one in (of.kernel_size, of.stride, of.padding)]
    rest = tuple(getattr(of, name) for name in settings)
    return Pooling(stack, lambda x: (aten.avg_pool2d(x, *window, *rest), (*window, *rest)), aten.avg_pool2d_backward)


@adds(nn.AdaptiveAvgPool2d)
def adaptive_average_pool(layers: Sequence[nn.AdaptiveAvgPool2d], place: str, stack: Stack) -> Layer:
    same(layers, place, "output_size")
    size: Any = _pair(layers[0].output_size)

    def pool(x: Tensor) -> tuple[Tensor, Saved]:
        sides = [x.shape[-2 + side] if one is None else one for side, one in enumerate(size)]
        return aten._adaptive_avg_pool2d(x, sides), ()

    return Pooling(stack, pool, aten._adaptive_avg_pool2d_backward)
