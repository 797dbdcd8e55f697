"""Keskar's sharpness. Keskar et al., arXiv:1609.04836, metric 2.1 (eq. 3 and 4).

Legend: x the weights (the paper's letter), A (n, p) the directions looked at, z (p,) the step along them, ε the box.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.sharpness import Sharpness
from tunesmith.records import ModelError, RecipeError
from tunesmith.training.fixed import fixed_loss
from tunesmith.training.fixed_loss import FixedLoss

REACH = 10.0  # assumption: the objective is scaled so that a mean coordinate may cross its box at once
Array = np.ndarray[Any, Any]


def keskar_sharpness(
    model: nn.Module,
    loss: Any,
    batches: Any,
    *,
    epsilon: float = 1e-3,
    directions: int | None = None,
    iterations: int = 10,
    seed: int = 0,
) -> Sharpness:
    """100 (max f(x + A z) - f(x)) / (1 + f(x)) over the box |z_i| <= ε (|(A⁺x)_i| + 1).

    A is the identity (`directions=None`, the full space) or `directions` random columns of length 1; the paper has both,
    with 100 columns, and ε of 1e-3 and 5e-4. The maximum is sought from a random point of the box by L-BFGS-B, at most
    `iterations` of it (the paper: 10), so the value is a lower bound; `error` is what the last iteration still added.
    Cost: a gradient, 2 passes, for each look, one or a few an iteration. Memory: some 25 vectors in float64 for the full
    space; `directions` vectors as long as the weights for a subspace.
    Raises `RecipeError` for settings out of range, `ModelError` where the loss is below -1 and the measure undefined.
    Use: to compare small with large batches on one architecture, as the paper does; not across architectures.
    Source: arXiv:1609.04836, eq. 3 (the box) and 4 (the measure).
    """
    if not epsilon > 0 or iterations < 1:
        raise RecipeError(
            f"epsilon = {epsilon} and iterations = {iterations}: both were expected above 0; the paper has 1e-3 and 10"
        )
    with fixed_loss(model, loss, batches) as fixed:
        if directions is not None and not 1 <= directions < fixed.size:
            raise RecipeError(
                f"directions = {directions} for {fixed.size} trainable weights: from 1 to {fixed.size - 1} were "
                "expected; None is the full space"
            )
        search = _Search(fixed, epsilon, _columns(fixed, directions, seed))
        start = fixed.value()
        if start <= -1:
            raise ModelError(f"the loss is {start:.4g}: the measure divides by 1 + loss; shift the loss to be above 0")
        highest, gain = search.maximum(start, iterations, seed)
        scale = 100 / (1 + start)
        return Sharpness(value=(highest - start) * scale, error=gain * scale, passes=fixed.passes)


def _columns(fixed: FixedLoss, directions: int | None, seed: int) -> Tensor | None:
    if directions is None:
        return None
    drawn = torch.randn(fixed.size, directions, generator=torch.Generator().manual_seed(seed), dtype=fixed.dtype)
    lengths: Tensor = drawn.norm(dim=0)
    return (drawn / lengths).to(fixed.device)


class _Search:
    """f over the box, in coordinates from -1 to 1."""

    def __init__(self, fixed: FixedLoss, epsilon: float, columns: Tensor | None) -> None:
        self._fixed, self._columns, self._origin = fixed, columns, fixed.weights()
        along = self._origin if columns is None else _pseudo_inverse(columns, self._origin)
        self._half = epsilon * (along.abs() + 1)

    def look(self, place: Array) -> tuple[float, Array]:
        """f and its gradient in the coordinates of the box."""
        step = torch.from_numpy(place).to(self._half) * self._half
        moved = step if self._columns is None else self._columns @ step
        value, gradient = self._fixed.gradient(self._origin + moved)
        along = gradient if self._columns is None else self._columns.T @ gradient
        return value, (along * self._half).cpu().numpy().astype(np.float64)

    def maximum(self, start: float, iterations: int, seed: int) -> tuple[float, float]:
        """The largest value seen, and what the last iteration added to it."""
        from scipy.optimize import minimize  # comes with scikit-learn

        first = np.random.default_rng(seed).uniform(-1, 1, len(self._half))  # at a minimum the origin would not move
        seen = [start]
        after: list[float] = [start]
        slope = float(np.abs(self.look(first)[1]).mean())
        scale = REACH / slope if slope > 0 else 1.0

        def falling(place: Array) -> tuple[float, Array]:
            value, gradient = self.look(np.clip(place, -1, 1))
            seen.append(value)
            return -scale * (value - start), -scale * gradient

        minimize(
            falling,
            first,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-1, 1)] * len(first),
            callback=lambda _: after.append(max(seen)),
            options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
        )
        highest = max(seen)
        return highest, highest - (after[-2] if len(after) > 1 else start)


def _pseudo_inverse(columns: Tensor, vector: Tensor) -> Tensor:
    """A⁺x = (A'A)⁻¹ A'x. Shape: (p,)."""
    solved: Tensor = torch.linalg.solve(columns.T @ columns, columns.T @ vector)
    return solved
