"""Alignment and uniformity as a loss. Wang & Isola, arXiv:2005.10242.

Legend: u = z / |z| and v the embeddings of two views of one sample; α the power, t the sharpness.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tunesmith.generative.cures import CURES
from tunesmith.generative.pairs import full_precision, pair
from tunesmith.records import RecipeError

POWER, SHARPNESS = 2.0, 2.0  # arXiv:2005.10242, section 4
ALIGN, UNIFORM = 1.0, 1.0  # their weights: assumption, of those that the paper's table 5 finds good


@CURES.add("alignment_uniformity")
def alignment_uniformity(
    one: Tensor,
    other: Tensor,
    *,
    align: float = ALIGN,
    uniform: float = UNIFORM,
    power: float = POWER,
    sharpness: float = SHARPNESS,
) -> Tensor:
    """mean |u - v|^α + (U(u) + U(v)) / 2, with U(u) = ln mean_{i≠j} exp(-t |u_i - u_j|²); 0 of a collapsed batch.

    The two measures `alignment` and `uniformity`, to be minimised together; at its least it is below 0. Shapes: two matrices (N, D).

    Raises `ModelError` for other shapes, `DataError` for a batch of one, `RecipeError` for a power or sharpness not above 0.
    Use: instead of `info_nce`, where the two pulls are to be weighed apart.
    Source: Wang & Isola, arXiv:2005.10242, eq. 1 and 2, figure 5.

    >>> z = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])  # aligned, and at the ends of a line: -t 2²
    >>> round(alignment_uniformity(z, z).item(), 4), alignment_uniformity(z.abs(), z.abs()).item()
    (-8.0, 0.0)
    """
    if not (power > 0 and sharpness > 0):
        raise RecipeError(
            f"power = {power!r}, sharpness = {sharpness!r}: numbers above 0 were expected; the paper takes {POWER:g} and {SHARPNESS:g}"
        )
    first, second = pair(one, other, "alignment_uniformity", least=2)
    with full_precision(first):
        u, v = normalize(first, dim=1), normalize(second, dim=1)
        apart = (u - v).square().sum(dim=1)
        near = apart.mean() if power == 2 else _root(apart).pow(power).mean()  # the root has no slope at 0
        evenly = sum(torch.pdist(each).square().mul(-sharpness).exp().mean().log() for each in (u, v))
        found: Tensor = align * near + uniform * evenly / 2
    return found


def _root(square: Tensor) -> Tensor:
    """The square root, with slope 0 at 0."""
    there = square > 0
    return torch.where(there, square, torch.ones_like(square)).sqrt() * there
