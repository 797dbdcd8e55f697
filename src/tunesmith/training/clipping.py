"""The gradient norm, and clipping by norm and by value. Pascanu et al., arXiv:1211.5063, algorithm 1."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradients there are; of a sparse one, its values."""
    found = (parameter.grad for parameter in parameters if parameter.grad is not None)
    return [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in found]


def global_norm(gradients: list[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients taken as one vector: shape ().

    >>> global_norm([torch.tensor([3.0]), torch.tensor([[4.0]])]).item()
    5.0
    """
    if not gradients:
        return torch.zeros(())
    norms = list(torch._foreach_norm(gradients))
    if any(norm.device != norms[0].device or norm.dtype != norms[0].dtype for norm in norms[1:]):
        norms = [norm.to(norms[0].device, norms[0].dtype) for norm in norms]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


def clip_norm(gradients: list[Tensor], norm: Tensor, largest: float) -> None:
    """Scales the gradients by min(1, largest / (norm + 1e-6)) in place, as torch's `clip_grad_norm_`."""
    if norm.device.type == "cpu":
        measured = norm.item()
        if measured + 1e-6 > largest and math.isfinite(measured):
            torch._foreach_mul_(gradients, largest / (measured + 1e-6))
        return
    torch._foreach_mul_(gradients, torch.clamp(largest / (norm + 1e-6), max=1.0))  # no synchronisation


def clip_value(gradients: list[Tensor], largest: float) -> None:
    """Limits every entry to [-largest, largest] in place."""
    torch._foreach_clamp_min_(gradients, -largest)
    torch._foreach_clamp_max_(gradients, largest)
