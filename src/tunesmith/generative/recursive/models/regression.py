"""Least squares fitted to labels of the fit before.

Gerstgrasser et al., arXiv:2404.01413, section 4 and appendix; Dohmatob et al., arXiv:2402.07712. Legend: d features, n rows in each
generation, σ² noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tunesmith.generative.recursion import (
    Designs,
    regression_accumulated,
    regression_overparametrised,
    regression_replaced,
)
from tunesmith.generative.recursion_real import regression_kept
from tunesmith.generative.recursive.asking import variance, whole
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.subject import Array, Plan, Subject
from tunesmith.records import RecipeError


@dataclass(frozen=True, slots=True)
class Line:
    """One fit a replicate: weights (R, d). `design` (R, n, d) is what it labels; without one features are drawn anew."""

    weights: Array
    noise: float
    design: Array | None = None

    def sample(self, n: int, seed: int) -> Array:
        """(R, n, d + 1): normal features, and the label last."""
        rng = np.random.default_rng(seed)
        count, width = self.weights.shape
        features = rng.standard_normal((count, n, width)) if self.design is None else self.design[:, :n]
        labels = features @ self.weights[:, :, None]
        labels = labels + np.sqrt(self.noise) * rng.standard_normal(labels.shape)
        return np.concatenate([features, labels], axis=2)


@MODELS.add("regression")
def regression(features: int = 10, noise: float = 1.0, designs: Designs = "fresh") -> Subject:
    """Least squares on d normal features with labels of noise σ²; the shortest solution where there are fewer rows than features.

    Measures `excess_error`, |w - w*|² with |w*| = 1, and `test_error`, that and σ². "fresh" designs draw features in every generation,
    "shared" ones label the first generation's again and again (not in the regime "mix"). Closed forms: replaced and
    accumulated with n > d + 1; kept real rows with a shared design; replaced without noise and with n at most d.
    """
    whole(features=features)
    noise = variance("noise", noise, zero=True)
    if designs not in ("fresh", "shared"):
        raise RecipeError(f"designs = {designs!r}: fresh or shared was expected")
    return _subject(1, features, noise, designs)


def _subject(replicates: int, features: int, noise: float, designs: Designs) -> Subject:
    truth = np.full(features, features**-0.5)  # of length 1; every direction is alike

    def real(n: int, seed: int) -> Array:
        return Line(np.broadcast_to(truth, (replicates, features)), noise).sample(n, seed)

    def fit(data: Array, seed: int) -> Line:
        x, y = data[:, :, :-1], data[:, :, -1:]
        return Line(solved(x, y), noise, x if designs == "shared" else None)

    def measure(model: Line, seed: int) -> Mapping[str, Array]:
        excess = ((model.weights - truth) ** 2).sum(axis=1)
        return {"excess_error": excess, "test_error": excess + noise}

    def expected(plan: Plan) -> Mapping[str, Array]:
        return _expected(plan, features, noise, designs)

    return Subject(
        name="regression",
        fit=fit,
        real=real,
        measure=measure,
        join=lambda parts: np.concatenate(parts, axis=1),
        expected=expected,
        many=lambda count: _subject(count, features, noise, designs),
        settings={"features": features, "noise": noise, "designs": designs},
    )


def solved(x: Array, y: Array) -> Array:
    """Weights (R, d) of least squares, the shortest where several fit."""
    across = x.transpose(0, 2, 1)
    if x.shape[1] < x.shape[2]:
        found: Array = (across @ np.linalg.solve(x @ across, y))[:, :, 0]
        return found
    found = np.linalg.solve(across @ x, across @ y)[:, :, 0]
    return found


def _expected(plan: Plan, features: int, noise: float, designs: Designs) -> Mapping[str, Array]:
    steps = range(1, plan.generations + 1)
    if designs == "shared" and plan.regime == "mix":
        raise RecipeError("a shared design has no new real rows to mix in; take fresh designs, or the regime keep")
    if plan.n <= features:
        if noise or plan.regime != "replace" or designs == "shared":
            return {}
        found = [regression_overparametrised(i, features, plan.n) for i in steps]
    elif plan.n <= features + 1:
        return {}  # the error of a square design has no mean
    elif plan.regime == "replace":
        found = [regression_replaced(i, features, plan.n, noise) for i in steps]
    elif plan.regime == "accumulate":
        found = [regression_accumulated(i, features, plan.n, noise, designs=designs) for i in steps]
    elif plan.regime == "keep" and designs == "shared":
        found = regression_kept(plan.generations, regression_replaced(1, features, plan.n, noise)).tolist()
    else:
        return {}
    return {"excess_error": np.array(found), "test_error": np.array(found) + noise}
