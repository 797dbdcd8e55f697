"""Lanczos' recurrence with full reorthogonalisation. Golub & Van Loan, Matrix Computations, 4th ed., section 10.3.

Plain power iteration finds the eigenvalue of largest magnitude, whatever its sign; the Krylov space has both ends.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tunesmith.doctor.probes.sharpness import direction

ROUNDING = 10.0  # assumption: times the machine epsilon, below it a new direction is noise


class Ritz(NamedTuple):
    """An approximate eigenvalue, and how near an eigenvalue is: ‖H y - value y‖ for its unit vector y."""

    value: float
    residual: float


def ends(product: Callable[[Tensor], Tensor], like: Tensor, iterations: int, seed: int) -> tuple[Ritz, Ritz, int]:
    """The largest and the smallest Ritz value of a symmetric map, and the iterations made. `like`: a vector (n,).

    Fewer iterations are made where the space is exhausted: then all eigenvalues that the start has a part in are exact.
    Memory: `iterations` vectors of length n.
    """
    basis, diagonal, beside = _space(product, like, iterations, seed)
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    found = []
    for place in (-1, 0):
        weights = torch.from_numpy(vectors[:, place].copy()).to(basis)
        found.append(_checked(product, weights @ basis))
    return found[0], found[1], len(values)


def _checked(product: Callable[[Tensor], Tensor], vector: Tensor) -> Ritz:
    """The residual is measured, not taken from the recurrence: rounding of the products is in it."""
    vector = vector / vector.norm()
    image = product(vector)
    value = float(vector @ image)
    return Ritz(value, float((image - value * vector).norm()))


def _space(
    product: Callable[[Tensor], Tensor], like: Tensor, iterations: int, seed: int
) -> tuple[Tensor, list[float], list[float]]:
    """An orthonormal basis (k, n), and the diagonals of the map in it."""
    most = min(iterations, len(like))
    basis = like.new_empty(most, len(like))
    basis[0] = direction(len(like), seed, like=like)
    diagonal: list[float] = []
    beside: list[float] = []
    for step in range(most):
        image = product(basis[step])
        diagonal.append(float(basis[step] @ image))
        known = basis[: step + 1]
        for _ in range(2):  # twice is enough: Parlett, The Symmetric Eigenvalue Problem, section 6.9
            image = image - (known @ image) @ known
        length = float(image.norm())
        scale = max(map(abs, diagonal + beside))
        if step + 1 == most or length <= ROUNDING * torch.finfo(like.dtype).eps * scale:
            return known, diagonal, beside
        beside.append(length)
        basis[step + 1] = image / length
    raise AssertionError("the last step returns")
