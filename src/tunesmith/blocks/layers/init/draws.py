"""Draws that fill a weight in place, of any floating type: half precision is drawn in single and rounded once."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tunesmith.records import ModelError

UNIT_CUT_AT_TWO = 0.8796256610342398  # deviation of N(0, 1) cut at ±2: √(1 - 4 φ(2) / (2 Φ(2) - 1))


def drawn(weight: Tensor, fill: Callable[[Tensor], object]) -> None:
    """`fill` on the weight, or on a copy in single precision where the weight has fewer bits.

    Half precision has too few numbers to draw in: uniform draws in bfloat16 take 256 values.
    """
    if not weight.is_floating_point():
        raise ModelError(
            f"a weight of type {weight.dtype} cannot be initialised: expected a floating type; try .float()"
        )
    with torch.no_grad():
        if weight.dtype in (torch.float32, torch.float64):
            fill(weight)
            return
        full = torch.empty(weight.shape, dtype=torch.float32, device=weight.device)
        fill(full)
        weight.copy_(full)


def normal_(weight: Tensor, std: float, generator: Generator | None) -> None:
    """w ~ N(0, std²)."""
    drawn(weight, lambda full: full.normal_(0.0, std, generator=generator))


def uniform_(weight: Tensor, bound: float, generator: Generator | None) -> None:
    """w ~ U(-bound, bound)."""
    drawn(weight, lambda full: full.uniform_(-bound, bound, generator=generator))


def truncated_(weight: Tensor, std: float, cut: float, generator: Generator | None) -> None:
    """w ~ N(0, std²), drawn anew where it lies beyond ±cut; `std` is that before the cut."""
    from torch.nn.init import trunc_normal_

    drawn(weight, lambda full: trunc_normal_(full, std=std, a=-cut, b=cut, generator=generator))


def by_group(weight: Tensor, groups: int, fill: Callable[[Tensor], object]) -> None:
    """`fill` on each group's own (out / groups, in / groups, *kernel), in single or double precision.

    Raises `ModelError` where the outputs do not divide.
    """
    if groups < 1 or weight.shape[0] % groups:
        raise ModelError(f"{weight.shape[0]} outputs do not divide into {groups} groups; give the groups of the layer")

    def each(full: Tensor) -> None:
        for part in full.chunk(groups):
            fill(part)

    drawn(weight, each)


def middle_of(weight: Tensor) -> Tensor:
    """The (out, in) matrix in the middle of the kernel, as a view."""
    for dim in range(weight.dim() - 1, 1, -1):
        weight = weight.select(dim, weight.shape[dim] // 2)
    return weight


def orthonormal_(matrix: Tensor, generator: Generator | None) -> None:
    """A matrix (rows, columns) with orthonormal rows or columns, whichever are fewer; every one equally likely.

    Source: QR of a normal matrix, the signs of R's diagonal set right: Mezzadri, math-ph/0609050, section 5.
    """
    rows, columns = matrix.shape
    draw = torch.randn(
        max(rows, columns), min(rows, columns), dtype=matrix.dtype, device=matrix.device, generator=generator
    )
    basis, triangle = torch.linalg.qr(draw)
    basis = basis * triangle.diagonal().sign()
    matrix.copy_(basis if rows >= columns else basis.T)
