"""What a loss is: a sum and the weight it is divided by, so that parts of a batch add up to the whole."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from tunesmith.records import ModelError


class Reduced(NamedTuple):
    """A loss before its division: over any partition of a batch the sums and the weights add up."""

    sum: Tensor
    weight: Tensor | float

    @property
    def value(self) -> Tensor:
        """Sum / weight: the number a user knows as the loss."""
        return self.sum / self.weight


@runtime_checkable
class Loss(Protocol):
    """Outputs and target to `Reduced`; `weight` holds one number a sample, (N,), or one a value."""

    @property
    def name(self) -> str: ...

    @property
    def opaque(self) -> bool:
        """Its reduction is unknown and taken as a mean over samples."""

    @property
    def couples(self) -> bool:
        """Known to compare samples with each other: parts of a batch do not add up to the whole."""

    @property
    def additive(self) -> bool:
        """The sum itself is minimised: nothing is divided by the weight."""

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced: ...


def align(outputs: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Both in one shape: (N, 1) meets (N,); nothing else is broadcast."""
    if outputs.shape == target.shape:
        return outputs, target
    if outputs.shape == (*target.shape, 1):
        return outputs.squeeze(-1), target
    if target.shape == (*outputs.shape, 1):
        return outputs, target.squeeze(-1)
    raise ModelError(
        f"{name} got outputs of shape {tuple(outputs.shape)} and a target of shape {tuple(target.shape)}, equal shapes "
        "were expected; "
        "give the model as many outputs as the target has columns"
    )


def single_precision(outputs: Tensor) -> Tensor:
    """Half-precision outputs as float32: a sum over a batch would lose digits. Others as they are."""
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


def spread(weight: Tensor, values: Tensor, name: str) -> Tensor:
    """A weight per sample, (N,), (N, 1) or of any leading shape, over all values of that sample."""
    column = weight.dim() > 1 and weight.shape[-1] == 1 and weight.shape != values.shape
    leading = weight.squeeze(-1) if column else weight
    if leading.shape != values.shape[: leading.dim()]:
        raise ModelError(
            f"{name} got weights of shape {tuple(weight.shape)} for values of shape {tuple(values.shape)}; give one "
            f"weight a sample: ({len(values)},)"
        )
    return leading.to(values).reshape(leading.shape + (1,) * (values.dim() - leading.dim())).expand_as(values)


def reduced(values: Tensor, mass: Tensor | None, weight: Tensor | None, name: str) -> Reduced:
    """Σ sᵢ lᵢ over Σ sᵢ mᵢ: `values` l and their denominators `mass` m (1 where None), sample weights s."""
    if weight is None:
        return Reduced(values.sum(), float(values.numel()) if mass is None else mass.sum())
    each = spread(weight, values, name)
    return Reduced((each * values).sum(), each.sum() if mass is None else (each * mass).sum())


def class_mass(target: Tensor, class_weights: Tensor | None, ignore_index: int) -> Tensor:
    """What torch's mean divides by, label by label: the weight of its class, 0 where ignored."""
    kept = target != ignore_index
    return kept if class_weights is None else class_weights[target.where(kept, 0)] * kept


def tensors(*nests: object) -> Iterator[Tensor]:
    """All tensors of nested tuples, lists and mappings."""
    for nest in nests:
        if isinstance(nest, Tensor):
            yield nest
        elif isinstance(nest, Mapping):
            yield from tensors(*nest.values())
        elif isinstance(nest, list | tuple):
            yield from tensors(*nest)
