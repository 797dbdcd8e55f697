"""Activations: torch's own kernels forward and backward, which work entry by entry on the whole stack."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.training.batched.layers.layer import LAYERS, Layer, Stack, same

aten = torch.ops.aten
Backward = Callable[[Tensor, Tensor, Tensor], Tensor]  # of dy, x, y

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # arXiv:1706.02515, eq. 14


class Activation(Layer):
    """y = f(x). Shape: any -> the same."""

    def __init__(self, stack: Stack, function: Callable[[Tensor], Tensor], slope: Backward) -> None:
        super().__init__(stack)
        self.function = function
        self.slope = slope

    def forward(self, x: Tensor, training: bool) -> Tensor:
        y = self.function(x)
        if training:
            self.x, self.y = x, y
        return y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        return self.slope(dy, self.x, self.y) if wanted else dy


Pair = tuple[Callable[[Tensor], Tensor], Backward]
KINDS: dict[type[nn.Module], tuple[tuple[str, ...], Callable[[Any], Pair]]] = {
    nn.ReLU: ((), lambda of: (torch.relu, lambda dy, x, y: aten.threshold_backward(dy, y, 0))),
    nn.LeakyReLU: (
        ("negative_slope",),
        lambda of: (
            lambda x: functional.leaky_relu(x, of.negative_slope),
            lambda dy, x, y: aten.leaky_relu_backward(dy, x, of.negative_slope, False),
        ),
    ),
    nn.ELU: (
        ("alpha",),
        lambda of: (
            lambda x: functional.elu(x, of.alpha),
            lambda dy, x, y: aten.elu_backward(dy, of.alpha, 1, 1, False, x),
        ),
    ),
    nn.SELU: (
        (),
        lambda of: (torch.selu, lambda dy, x, y: aten.elu_backward(dy, SELU_ALPHA, SELU_SCALE, 1, False, x)),
    ),
    nn.GELU: (
        ("approximate",),
        lambda of: (
            lambda x: functional.gelu(x, approximate=of.approximate),
            lambda dy, x, y: aten.gelu_backward(dy, x, approximate=of.approximate),
        ),
    ),
    nn.SiLU: ((), lambda of: (functional.silu, lambda dy, x, y: aten.silu_backward(dy, x))),
    nn.Mish: ((), lambda of: (functional.mish, lambda dy, x, y: aten.mish_backward(dy, x))),
    nn.Hardswish: ((), lambda of: (functional.hardswish, lambda dy, x, y: aten.hardswish_backward(dy, x))),
    nn.Softplus: (
        ("beta", "threshold"),
        lambda of: (
            lambda x: functional.softplus(x, of.beta, of.threshold),
            lambda dy, x, y: aten.softplus_backward(dy, x, of.beta, of.threshold),
        ),
    ),
    nn.Tanh: ((), lambda of: (torch.tanh, lambda dy, x, y: aten.tanh_backward(dy, y))),
    nn.Sigmoid: ((), lambda of: (torch.sigmoid, lambda dy, x, y: aten.sigmoid_backward(dy, y))),
}


def activation(layers: Sequence[nn.Module], place: str, stack: Stack) -> Layer:
    """The stacked activation of a type of `KINDS`; nets of one group agree in its settings."""
    settings, pair = KINDS[type(layers[0])]
    same(layers, place, *settings)
    return Activation(stack, *pair(layers[0]))


LAYERS.update(dict.fromkeys(KINDS, activation))
