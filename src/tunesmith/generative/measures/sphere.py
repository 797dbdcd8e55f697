"""Embeddings on the sphere: are views of one sample close, do all together fill it? Wang & Isola, arXiv:2005.10242.

Legend: u = z / |z| and v the embeddings of two views of one sample.
"""

from typing import Any

import torch
from torch import Tensor

from tunesmith.generative.distances import clouds, within
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.measures.spread import on_sphere
from tunesmith.generative.points import both, points
from tunesmith.records import DataError, RecipeError


@MEASURES.add("alignment")
def alignment(one: Any, other: Any, *, power: float = 2.0) -> float:
    """E |u - v|^power over pairs of views; 0 where the views of each sample coincide, 2 of those at random (power 2).

    Shapes: `one` and `other` (N, D), row i of both from the same sample. Complete collapse aligns perfectly: see `uniformity`
    beside it.

    Raises `DataError` for rows that do not fit, come in other numbers or have length 0, `RecipeError` for a power not above 0.
    Use: with `uniformity`, of held-out samples.
    Source: Wang & Isola, arXiv:2005.10242.

    >>> alignment([[1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [0.0, -1.0]])
    2.0
    """
    if not 0 < power < float("inf"):
        raise RecipeError(f"power = {power!r}: a number above 0 was expected; the paper takes 2")
    first, second = both(one, other, least=1)
    if len(first) != len(second):
        raise DataError(f"there are {len(first)} and {len(second)} views; row i of both is to be of sample i")
    away = _directions(first) - _directions(second)
    return float(away.norm(dim=1).pow(power).mean())


@MEASURES.add("uniformity")
def uniformity(embeddings: Any, *, sharpness: float = 2.0) -> float:
    """ln E_{i≠j} exp(-sharpness |u_i - u_j|²); 0 where all point one way, lower the more evenly they fill the sphere.

    Shape: `embeddings` (N, D). With many even directions in high dimension it nears -2 sharpness, for distances then are near √2.

    Raises `DataError` for rows that do not fit or have length 0, `RecipeError` for a sharpness not above 0.
    Use: with `alignment`; collapse to a point or to few directions raises it.
    Source: Wang & Isola, arXiv:2005.10242, with t = 2.

    >>> round(uniformity([[1.0, 0.0], [-1.0, 0.0]]), 4), round(uniformity([[1.0, 0.0], [2.0, 0.0]]), 4)
    (-8.0, 0.0)
    """
    if not 0 < sharpness < float("inf"):
        raise RecipeError(f"sharpness = {sharpness!r}: a number above 0 was expected; the paper takes 2")
    (cloud,) = clouds(_directions(points(embeddings, "embeddings")))
    total = torch.zeros((), dtype=torch.float64, device=cloud.norms.device)
    for rows, columns, tile in within(cloud):
        if rows == columns:
            tile.fill_diagonal_(torch.inf)  # a sample and itself
        near = tile.mul_(-sharpness).exp_().sum(dtype=torch.float64)
        total += near if rows == columns else 2 * near
    return float((total / (cloud.rows * (cloud.rows - 1))).log())


def _directions(rows: Tensor) -> Tensor:
    lost = int((rows == 0).all(dim=1).sum())
    if lost:
        raise DataError(f"{lost} of {len(rows)} embeddings have length 0 and no direction; leave them out, and say so")
    return on_sphere(rows.double())
