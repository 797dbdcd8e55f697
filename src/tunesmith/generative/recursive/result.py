"""What a simulation found, generation by generation, beside the closed form where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesmith.generative.recursive.subject import Array, Plan
from tunesmith.records import UnknownName, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recursion:
    """`values[measure]` is (replicates, generations), `expected[measure]` (generations,), NaN where there is no closed form."""

    model: str
    plan: Plan
    seed: int
    values: Mapping[str, Array]
    expected: Mapping[str, Array]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def replicates(self) -> int:
        return len(next(iter(self.values.values())))

    @property
    def generations(self) -> Array:
        """1 is the fit to real data."""
        return np.arange(1, self.plan.generations + 1)

    def mean(self, measure: str) -> Array:
        """(generations,), over the replicates."""
        found: Array = self._of(measure).mean(axis=0)
        return found

    def error(self, measure: str) -> Array:
        """Standard error of the mean; NaN of one replicate."""
        values = self._of(measure)
        if len(values) < 2:
            return np.full(values.shape[1], np.nan)
        found: Array = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        return found

    def apart(self, measure: str) -> float | None:
        """The largest distance of the mean from the closed form, in standard errors; None where there is nothing to compare."""
        if measure not in self.expected or self.replicates < 2:
            return None
        error = self.error(measure)
        there = np.isfinite(self.expected[measure]) & (error > 0)
        if not there.any():
            return None
        return float((np.abs(self.mean(measure) - self.expected[measure])[there] / error[there]).max())

    def as_dict(self) -> dict[str, Any]:
        """Plain data: what was asked, and a row for each generation."""
        told: dict[str, Any] = {
            "model": self.model,
            "regime": self.plan.regime,
            "generations": self.plan.generations,
            "n": self.plan.n,
            "share": self.plan.share if self.plan.regime == "mix" else None,
            "replicates": self.replicates,
            "seed": self.seed,
            "settings": dict(self.settings),
            "measures": {},
        }
        for name in self.values:
            told["measures"][name] = {
                "mean": self.mean(name).tolist(),
                "standard_error": self.error(name).tolist(),
                "median": np.median(self.values[name], axis=0).tolist(),
                "expected": self.expected[name].tolist() if name in self.expected else None,
                "apart": self.apart(name),
            }
        return told

    def _of(self, measure: str) -> Array:
        if measure not in self.values:
            raise UnknownName(f"no measure called {measure!r}{did_you_mean(measure, self.values)}")
        return self.values[measure]
