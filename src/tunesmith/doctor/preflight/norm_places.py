"""Where the norm layers of a net stand: what goes in, and over what it is normalised. A tool of the checks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.model_call import answer, arguments
from tunesmith.doctor.preflight.running_statistics import BatchNorm

NORMS = (BatchNorm, _InstanceNorm, nn.LayerNorm, nn.GroupNorm)
LAST = (nn.Linear, nn.Embedding, nn.MultiheadAttention)  # layers whose features lie on the last axis
SAME = (nn.Identity, nn.modules.dropout._DropoutNd)  # beside activations: axes stay as they are
POINTWISE = tuple(
    each
    for each in vars(nn.modules.activation).values()
    if isinstance(each, type)
    and issubclass(each, nn.Module)
    and each not in (nn.MultiheadAttention, nn.Softmax, nn.GLU)
)


@dataclass(slots=True)
class Place:
    """A norm layer in the forward pass of a batch."""

    name: str
    module: nn.Module
    given: Tensor  # (N, ...)
    features: int | None  # the axis that the layer before puts its features on; None where it is not known

    @property
    def together(self) -> int:
        """How many numbers are brought to one mean and spread; of batch norm those of one row."""
        shape = self.given.shape
        positions = shape[2:].numel() if len(shape) > 2 else 1
        if isinstance(self.module, nn.LayerNorm):
            return int(torch.Size(self.module.normalized_shape).numel())
        if isinstance(self.module, nn.GroupNorm):
            return positions * self.module.num_channels // self.module.num_groups
        if isinstance(self.module, _InstanceNorm):
            return positions
        return positions

    @property
    def variances(self) -> Tensor:
        """The variance of each group of numbers that is normalised together."""
        values, shape = self.given.double(), self.given.shape
        if isinstance(self.module, nn.LayerNorm):
            return values.flatten(-len(self.module.normalized_shape)).var(-1, correction=0).flatten()
        if isinstance(self.module, nn.GroupNorm):
            return values.reshape(shape[0], self.module.num_groups, -1).var(-1, correction=0).flatten()
        if isinstance(self.module, _InstanceNorm) and len(shape) > 2:
            return values.flatten(2).var(-1, correction=0).flatten()
        return values.transpose(0, 1).flatten(1).var(-1, correction=0)

    @property
    def axis_missed(self) -> bool:
        """Whether the layer takes another axis for the features than the one the layer before puts them on."""
        dims = self.given.dim()
        if self.features is None or dims < 3:
            return False
        if isinstance(self.module, nn.LayerNorm):
            return self.features == 1 and len(self.module.normalized_shape) == 1
        return self.features == dims - 1


def places(bench: Bench, rows: int = 32) -> list[Place]:
    """The norm layers of the net in the order in which they are carried out, for a batch in evaluation mode."""
    return bench.kept("norm_places", lambda: list(_places(bench, rows)))


def _places(bench: Bench, rows: int) -> Iterator[Place]:
    batch = bench.batch(rows, "norm_places")
    given = arguments(bench, batch)
    model = bench.twin().model.eval()
    found: list[Place] = []
    axes: list[
        tuple[Tensor, int]
    ] = []  # results and the axis of their features; held, so that no other takes their place

    def noted(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, result: Any) -> None:
            first = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            axis = next((each for tensor, each in axes if tensor is first), None)
            if isinstance(module, NORMS) and first is not None and first.dim() > 1:
                found.append(Place(name, module, first.detach(), axis))
            made = _features(module, result, axis)
            out = result[0] if isinstance(result, tuple) and result else result
            if made is not None and isinstance(out, Tensor):
                axes.append((out, made))

        return hook

    handles = [each.register_forward_hook(noted(name)) for name, each in model.named_modules()]
    try:
        with torch.no_grad():
            answer(bench, model, given)
    finally:
        for handle in handles:
            handle.remove()
    yield from found


def _features(module: nn.Module, result: Any, before: int | None) -> int | None:
    """The axis of the features in what a module gives."""
    out = result[0] if isinstance(result, tuple) and result else result
    if not isinstance(out, Tensor):
        return None
    if isinstance(module, _ConvNd):
        return 1
    if isinstance(module, (*LAST, nn.RNNBase)):
        return out.dim() - 1
    return before if isinstance(module, POINTWISE + SAME + NORMS) else None
