"""What a stacked layer is, what the layers of a group share, and how torch's layers become stacked ones."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tunesmith.records import ModelError
from tunesmith.training.batched.rows import Rows


class Stack:
    """What the layers of a group read and write: weights, buffers, counters, and the generator of each trial's dropout."""

    def __init__(
        self, parameters: Rows, buffers: Rows, counters: dict[str, Tensor], generators: list[torch.Generator]
    ) -> None:
        self.parameters = parameters
        self.buffers = buffers
        self.counters = counters  # () each: all trials have seen the same number of batches
        self.generators = generators

    def __getitem__(self, name: str) -> Tensor:
        """The weights or constants called `name` of all trials. Shape: (K, *shape)."""
        return (self.parameters if name in self.parameters.shapes else self.buffers)[name]

    def put(self, name: str, gradient: Tensor) -> None:
        """Takes the gradient of a weight; that of a frozen one is dropped."""
        if name in self.parameters.shapes:
            self.parameters.put(name, gradient)


class Layer:
    """A layer of K nets. Abstract: `forward`, `backward`.

    `names` are its parameters by their names in torch's layer, as the net calls them; `bind` reads their views anew after
    trials were dropped.
    """

    def __init__(self, stack: Stack, names: dict[str, str] | None = None) -> None:
        self.stack = stack
        self.names = names or {}
        self.views: dict[str, Tensor] = {}
        self.bind()

    def bind(self) -> None:
        """Reads the views of its parameters."""
        self.views = {own: self.stack[name] for own, name in self.names.items()}

    def keep(self, kept: Sequence[int]) -> None:
        """Leaves what belongs to these trials, after the stack has."""
        self.bind()

    @property
    def trained(self) -> bool:
        """Whether it has parameters that are trained."""
        return any(name in self.stack.parameters.shapes for name in self.names.values())

    @property
    def mapped(self) -> bool:
        """Whether vmap computes any of it."""
        return False

    def forward(self, x: Tensor, training: bool) -> Tensor:
        raise NotImplementedError

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        """The gradient of its input where that is `wanted`, else anything; gives the stack those of its parameters."""
        raise NotImplementedError

    def put(self, own: str, gradient: Tensor) -> None:
        self.stack.put(self.names[own], gradient)


Builder = Callable[[Sequence[Any], str, Stack], Layer]
Made = TypeVar("Made", bound=Builder)
LAYERS: dict[type[nn.Module], Builder] = {}


def adds(*kinds: type[nn.Module]) -> Callable[[Made], Made]:
    """Decorator: the builder of stacked layers for these types of torch's layers, not for what inherits from them."""

    def add(builder: Made) -> Made:
        LAYERS.update(dict.fromkeys(kinds, builder))
        return builder

    return add


def build(layers: Sequence[nn.Module], place: str, stack: Stack) -> Layer:
    """The stacked layer of one layer of each net; `place` is its name in the nets, "" the net itself.

    Raises `ModelError`, naming the layer, for one that cannot be stacked.
    """
    from tunesmith.training.batched.layers.mapped import Mapped

    first = layers[0]
    if any(type(layer) is not type(first) for layer in layers):
        kinds = " and ".join(sorted({type(layer).__name__ for layer in layers}))
        raise ModelError(
            f"{described(first, place)} is {kinds} in nets of one group; a group takes nets of one architecture, "
            "put the others into a group of their own"
        )
    builder = LAYERS.get(type(first))
    if builder is None or hooked(first):
        return Mapped(layers, place, stack)
    return builder(layers, place, stack)


def hooked(layer: nn.Module) -> bool:
    """Whether hooks take part in its forward or backward pass, which a stacked layer would pass over."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(hooks)


def described(layer: nn.Module, place: str) -> str:
    """How a sentence names a layer.

    >>> described(nn.ReLU(), "trunk.1")
    'layer trunk.1 (ReLU)'
    """
    return f"layer {place} ({type(layer).__name__})" if place else f"the net ({type(layer).__name__})"


def beneath(place: str, name: str) -> str:
    """The name of a part of the layer at `place`.

    >>> beneath("trunk", "weight"), beneath("", "weight")
    ('trunk.weight', 'weight')
    """
    return f"{place}.{name}" if place else name


def named(layer: nn.Module, place: str) -> dict[str, str]:
    """Its own parameters, and the names by which the net knows them."""
    return {name: beneath(place, name) for name, value in layer._parameters.items() if value is not None}


def same(layers: Sequence[nn.Module], place: str, *settings: str) -> None:
    """Raises `ModelError` unless the layers agree in these settings."""
    for setting in settings:
        values = [getattr(layer, setting) for layer in layers]
        if any(value != values[0] for value in values):
            shown = ", ".join(dict.fromkeys(str(value) for value in values))
            raise ModelError(
                f"{described(layers[0], place)} has {setting} = {shown} in nets of one group; a group takes nets of one "
                "architecture, put the others into a group of their own"
            )


def refuse(layer: nn.Module, place: str, because: str) -> ModelError:
    """The error for a layer that cannot be stacked."""
    return ModelError(
        f"{described(layer, place)} cannot be trained in a group: {because}; train these trials one after the other"
    )


def across(values: Tensor, x: Tensor) -> Tensor:
    """Values by channel (K, C) in a shape that goes with x (K, N, C, *positions)."""
    return values.view(values.shape[0], 1, values.shape[1], *(1,) * (x.dim() - 3))
