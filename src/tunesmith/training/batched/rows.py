"""Parameters and buffers of K nets as rows of one tensor, with views of them for the layers."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn

from tunesmith.records import ModelError


class Rows:
    """Named tensors of K nets, flattened: row k holds those of net k. Shape: (K, entries).

    `self[name]` is a view (K, *shape). Gradients are handed in by name, and lie in one tensor like the values.
    """

    def __init__(self, values: Tensor, shapes: Mapping[str, torch.Size]) -> None:
        self.values = values
        self.shapes = dict(shapes)
        self.places = {name: place for place, name in enumerate(self.shapes)}
        self.parts = [torch.empty(0)] * len(self.shapes)
        ends = [0]
        for shape in self.shapes.values():
            ends.append(ends[-1] + prod(shape))
        self.starts = dict(zip(self.shapes, ends[:-1], strict=True))
        self.gradient = torch.empty(0)

    @classmethod
    def of(cls, nets: Sequence[Mapping[str, Tensor]], like: Tensor) -> "Rows":
        """Rows of nets that have the same names and shapes, in type and device of `like`."""
        shapes = {name: value.shape for name, value in nets[0].items()}
        flat = [
            torch.cat([value.detach().to(like).reshape(-1) for value in net.values()]) if net else like.new_empty(0)
            for net in nets
        ]
        return cls(torch.stack(flat), shapes)

    def __getitem__(self, name: str) -> Tensor:
        shape, start = self.shapes[name], self.starts[name]
        return self.values[:, start : start + prod(shape)].view(len(self.values), *shape)

    def row(self, k: int) -> dict[str, Tensor]:
        """Copies of the tensors of one net."""
        return {name: self[name][k].clone() for name in self.shapes}

    def put(self, name: str, gradient: Tensor) -> None:
        """Takes the gradient (K, *shape) of `name`."""
        self.parts[self.places[name]] = gradient.reshape(len(self.values), -1)

    def gathered(self) -> Tensor:
        """The gradients of all names, as one tensor like `values`; it is written over by the next call."""
        if self.gradient.shape != self.values.shape:
            self.gradient = torch.empty_like(self.values)
        torch.cat(self.parts, 1, out=self.gradient)
        return self.gradient

    def keep(self, kept: Sequence[int]) -> None:
        """Leaves these rows alone, in this order; views taken before belong to the old ones."""
        self.values = self.values[list(kept)]
        self.parts = [torch.empty(0)] * len(self.shapes)

    def mask(self, names: Sequence[str]) -> Tensor:
        """1 for the entries of `names`, else 0. Shape: (1, entries)."""
        found = torch.zeros_like(self.values[:1])
        for name in names:
            found[:, self.starts[name] : self.starts[name] + prod(self.shapes[name])] = 1
        return found


def trainable(net: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name."""
    return {name: value for name, value in net.named_parameters() if value.requires_grad}


def constants(net: nn.Module) -> dict[str, Tensor]:
    """Frozen parameters and floating buffers, by name: each net keeps its own, the optimizer leaves them alone."""
    frozen = {name: value for name, value in net.named_parameters() if not value.requires_grad}
    return frozen | {name: value for name, value in net.named_buffers() if value.is_floating_point()}


def counters(net: nn.Module) -> dict[str, Tensor]:
    """Buffers of whole numbers, by name: the batches that a batch norm has seen."""
    return {name: value for name, value in net.named_buffers() if not value.is_floating_point()}


def check_alike(nets: Sequence[nn.Module], ids: Sequence[object]) -> None:
    """Raises `ModelError` where the nets differ in the names or shapes of what they hold, or in type or device."""
    first = dict(_described(nets[0]))
    for net, trial in zip(nets[1:], ids[1:], strict=True):
        other = dict(_described(net))
        wrong = next((name for name in {**first, **other} if first.get(name) != other.get(name)), None)
        if wrong is not None:
            raise ModelError(
                f"trial {trial!r} has {wrong} of {other.get(wrong, 'no shape')}, trial {ids[0]!r} of {first.get(wrong, 'no shape')}: "
                "a group takes nets of one architecture; put the others into a group of their own"
            )


def _described(net: nn.Module) -> Iterator[tuple[str, str]]:
    for name, value in net.state_dict(keep_vars=True).items():
        trained = "" if value.requires_grad or not isinstance(value, nn.Parameter) else ", frozen"
        yield name, f"shape {tuple(value.shape)}, {value.dtype}, {value.device}{trained}"
