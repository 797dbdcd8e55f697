"""Shares of classes counted in draws from themselves: Wright-Fisher drift. Shumailov et al., arXiv:2305.17493, section 4.1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.generative.recursion import expected_seen
from tunesmith.generative.recursion_real import heterozygosity_path
from tunesmith.generative.recursive.asking import numbers
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.subject import Array, Plan, Subject
from tunesmith.records import DataError

CLASSES = 50  # where nothing is said, with shares as 1 / rank (Zipf); assumption
RARE = 0.1  # of the true mass: the rarest classes that hold no more are the tail; assumption


@dataclass(frozen=True, slots=True)
class Shares:
    """One law a replicate: shares (R, K)."""

    shares: Array

    def sample(self, n: int, seed: int) -> Array:
        """How often each class is drawn, (R, K)."""
        found: Array = np.random.default_rng(seed).multinomial(n, self.shares)
        return found


@MODELS.add("categorical")
def categorical(shares: Sequence[float] | None = None) -> Subject:
    """Classes with true `shares`, fitted by counting; 50 of share 1 / rank where nothing is said.

    Measures `heterozygosity` (1 - Σ p²), `support` (classes of share above 0) and `tail` (the mass of the rarest classes that truly hold a
    tenth, over that). Closed forms: heterozygosity in every regime, support of the first generation.
    """
    expected = "2 or more numbers of 0 or more that sum to 1"
    zipf = 1 / np.arange(1, CLASSES + 1)
    true = zipf / zipf.sum() if shares is None else numbers(shares, "shares", expected, 1)
    if len(true) < 2 or (true < 0).any() or not abs(true.sum() - 1) < 1e-9:
        raise DataError(f"shares came as {true.tolist()}; expected {expected}")
    return _subject(1, true, {"shares": true.tolist() if shares is not None else f"1 / rank, {CLASSES}"})


def _subject(replicates: int, true: Array, settings: Mapping[str, Any]) -> Subject:
    order = np.argsort(true, kind="stable")
    rare = order[: max(1, int((np.cumsum(true[order]) <= RARE).sum()))]

    def measure(model: Shares, seed: int) -> Mapping[str, Array]:
        p = model.shares
        return {
            "heterozygosity": 1 - (p**2).sum(axis=1),
            "support": (p > 0).sum(axis=1).astype(np.float64),
            "tail": p[:, rare].sum(axis=1) / max(true[rare].sum(), 1e-300),
        }

    def expected(plan: Plan) -> Mapping[str, Array]:
        start = float(1 - (true**2).sum())
        seen = np.full(plan.generations, np.nan)
        seen[0] = expected_seen(true.tolist(), plan.n)
        path = heterozygosity_path(plan.regime, plan.generations, start, plan.n, share=plan.share)
        return {"heterozygosity": path, "support": seen}

    return Subject(
        name="categorical",
        fit=lambda data, seed: Shares(data / data.sum(axis=1, keepdims=True)),
        real=lambda n, seed: Shares(np.broadcast_to(true, (replicates, len(true)))).sample(n, seed),
        measure=measure,
        join=lambda parts: np.sum(parts, axis=0),
        expected=expected,
        many=lambda count: _subject(count, true, settings),
        settings=settings,
    )
