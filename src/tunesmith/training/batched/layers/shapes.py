"""Layers without weights that only put things in order: chains, sums of branches, flattening, nothing at all."""

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from tunesmith.training.batched.layers.layer import Layer, Stack, adds, beneath, build, refuse, same


class Chain(Layer):
    """One layer after the other. No gradient is computed that no trained weight waits for."""

    def __init__(self, stack: Stack, layers: Iterable[Layer]) -> None:
        super().__init__(stack)
        self.layers = tuple(layers)
        before = [any(layer.trained for layer in self.layers[:place]) for place in range(len(self.layers))]
        self.waiting = tuple(zip(self.layers, before, strict=True))[::-1]

    def keep(self, kept: Sequence[int]) -> None:
        for layer in self.layers:
            layer.keep(kept)

    @property
    def trained(self) -> bool:
        return any(layer.trained for layer in self.layers)

    @property
    def mapped(self) -> bool:
        return any(layer.mapped for layer in self.layers)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        for layer, before in self.waiting:
            if not (before or wanted or layer.trained):
                break
            dy = layer.backward(dy, before or wanted)
        return dy


class Sum(Layer):
    """y = left(x) + right(x). Shape: that of the branches."""

    def __init__(self, stack: Stack, left: Layer, right: Layer) -> None:
        super().__init__(stack)
        self.left, self.right = left, right

    def keep(self, kept: Sequence[int]) -> None:
        self.left.keep(kept)
        self.right.keep(kept)

    @property
    def trained(self) -> bool:
        return self.left.trained or self.right.trained

    @property
    def mapped(self) -> bool:
        return self.left.mapped or self.right.mapped

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return self.left.forward(x, training) + self.right.forward(x, training)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        left, right = self.left.backward(dy, wanted), self.right.backward(dy, wanted)
        return left + right if wanted else dy


class View(Layer):
    """The same entries in another shape; the gradient goes back into the old one."""

    def __init__(self, stack: Stack, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__(stack)
        self.change = change

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if training:
            self.shape = x.shape
        return self.change(x)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        return dy.reshape(self.shape) if wanted else dy


@adds(nn.Identity)
def identity(layers: Sequence[nn.Module], place: str, stack: Stack) -> Layer:
    return Chain(stack, ())


@adds(nn.Sequential)
def sequential(layers: Sequence[nn.Sequential], place: str, stack: Stack) -> Layer:
    if any(len(layer) != len(layers[0]) for layer in layers):
        raise refuse(layers[0], place, "the nets of the group have different numbers of layers in it")
    names = list(layers[0]._modules)
    parts = zip(*(layer._modules.values() for layer in layers), strict=True)
    return Chain(
        stack,
        [build(part, beneath(place, name), stack) for name, part in zip(names, parts, strict=True)],
    )


@adds(nn.Flatten)
def flatten(layers: Sequence[nn.Flatten], place: str, stack: Stack) -> Layer:
    same(layers, place, "start_dim", "end_dim")
    first, last = layers[0].start_dim, layers[0].end_dim
    if first == 0:
        raise refuse(layers[0], place, "it joins the rows of a batch, which must stay apart")
    start, end = (one + 1 if one >= 0 else one for one in (first, last))
    return View(stack, lambda x: x.flatten(start, end))
