"""The built-in nets of `blocks/models` that take one tensor: `mlp` over numbers or arrays, `cnn` over pictures."""

from collections.abc import Sequence

from torch import Tensor, nn

from tunesmith.blocks.layers.poolings import MeanPooling
from tunesmith.blocks.models import cnn, mlp
from tunesmith.training.batched.layers.layer import Layer, Stack, adds, beneath, build, refuse
from tunesmith.training.batched.layers.pooling import Mean
from tunesmith.training.batched.layers.shapes import Chain, Sum, View


class Parts:
    """Builds stacked layers of the parts of nets, by their names."""

    def __init__(self, layers: Sequence[nn.Module], place: str, stack: Stack) -> None:
        self.layers, self.place, self.stack = layers, place, stack

    def __call__(self, name: str) -> Layer:
        return build([layer.get_submodule(name) for layer in self.layers], beneath(self.place, name), self.stack)

    def chain(self, *names: str) -> Chain:
        return Chain(self.stack, [self(name) for name in names])


def finished(net: mlp.MLP | cnn.CNN, stack: Stack) -> Layer:
    """(K, N, 1) as (K, N) for a regression."""
    return View(stack, lambda x: x.squeeze(-1)) if net.kind == "regression" else Chain(stack, ())


@adds(mlp.MLP)
def perceptron(layers: Sequence[mlp.MLP], place: str, stack: Stack) -> Layer:
    first = layers[0]
    if len(first.columns.tables) or len(first.columns.flat) != 1:
        raise refuse(first, place, "it takes several kinds of columns, and a group takes one tensor")
    parts = Parts(layers, place, stack)
    flat = View(stack, lambda x: x.flatten(2))
    return Chain(stack, [flat, parts("trunk"), parts("head"), finished(first, stack)])


@adds(mlp.ResidualBlock)
def residual_block(layers: Sequence[mlp.ResidualBlock], place: str, stack: Stack) -> Layer:
    parts = Parts(layers, place, stack)
    branch = parts.chain("norm", "expand", "activation", "dropout", "contract", "dropout")
    return Sum(stack, Chain(stack, ()), branch)


@adds(cnn.CNN)
def convolutional(layers: Sequence[cnn.CNN], place: str, stack: Stack) -> Layer:
    first = layers[0]
    if type(first.pooling) is not MeanPooling:
        raise refuse(first.pooling, beneath(place, "pooling"), "of the poolings only 'mean' has a stacked form")
    parts = Parts(layers, place, stack)

    def pictures(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], first.channels, *x.shape[-2:])

    ends = [Mean(stack), parts("dropout"), parts("head"), finished(first, stack)]
    return Chain(stack, [View(stack, pictures), parts("stem"), parts("stages"), *ends])


@adds(cnn.Block)
def block(layers: Sequence[cnn.Block], place: str, stack: Stack) -> Layer:
    parts = Parts(layers, place, stack)
    branch = parts.chain("first", "first_norm", "activation", "last", "last_norm")
    return Chain(stack, [Sum(stack, branch, parts("skip")), parts("activation")])
