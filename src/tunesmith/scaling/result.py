"""What a ladder says: the law, what the target size should reach, which rate carries over, what a gain is worth in size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.records import DataError
from tunesmith.scaling.carrying import Carry
from tunesmith.scaling.coordinates import Coordinates
from tunesmith.scaling.laws import Between, Law
from tunesmith.scaling.rungs import Climbed

POINTS = 40  # of the law, drawn
MEASURES = ("parameters", "rows", "parameters and rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """`rungs` are all trainings; `law` is fitted to the best rate of each size, by `measure`; `why` says why there is none.

    `reach` is the size that was asked for, as the law counts it (parameters, rows, or both), `expected` the loss of one training there.
    """

    rungs: tuple[Climbed, ...]
    measure: str
    law: Law | None
    why: str
    reach: tuple[float, ...]
    expected: Between | None
    carry: Carry | None
    coordinates: Coordinates | None

    def equivalent(self, loss: float) -> Between:
        """The size at which the law expects a loss, reached in another way: what a tuning is worth in size.

        Raises `DataError` without a law, or with one of two terms.
        """
        if self.law is None:
            raise DataError(f"there is no law to compare with: {self.why}")
        return self.law.size_for(loss)

    def worth(self, before: float, after: float) -> str:
        """A gain told as a larger size: `before` and `after` are losses at one size, without and with a tuning."""
        if not after < before:
            return f"loss {before:.4g} to {after:.4g} is no gain"
        there, here = self.equivalent(after), self.equivalent(before).value
        if not math.isfinite(there.value):
            return f"loss {before:.4g} to {after:.4g}: no size reaches that without it, by this law"
        times = Between(there.value / here, there.low / here, there.high / here)
        high = f"{times.high:.2g}" if math.isfinite(times.high) else "no bound"
        return (
            f"loss {before:.4g} to {after:.4g} is what {times.value:.2g} times the {self.measure} would bring "
            f"[{times.low:.2g}, {high}]"
        )

    def lines(self) -> list[str]:
        """Sentences for a terminal."""
        found = []
        if self.law is None:
            found.append(f"no law: {self.why}")
        else:
            floor = self.law.floor()
            exponents = [
                f"exponent of {name} {one.value:.2g} [{one.low:.2g}, {one.high:.2g}]"
                for name, one in zip(self.measure.split(" and "), self._exponents(), strict=True)
            ]
            found.append(
                f"law: loss falls to {floor.value:.4g} [{floor.low:.4g}, {floor.high:.4g}], {', '.join(exponents)}"
            )
        if self.expected is not None:
            size = " and ".join(
                f"{size:,.0f} {name}" for size, name in zip(self.reach, self.measure.split(" and "), strict=True)
            )
            found.append(
                f"a training with {size} should reach loss {self.expected.value:.4g} [{self.expected.low:.4g}, {self.expected.high:.4g}]"
            )
        if self.carry is not None:
            found += carried_lines(self.carry)
        if self.coordinates is not None:
            found.append(f"coordinate check: {self.coordinates.line()}")
        return found

    def _exponents(self) -> list[Between]:
        assert self.law is not None
        return [self.law.exponent(which) for which in range(self.law.sizes.shape[1])]

    def curve(self) -> list[list[float]]:
        """Points (size, expected loss, low, high) of a law of one term, from the smallest size to the largest or the one to reach."""
        if self.law is None or self.law.sizes.shape[1] != 1:
            return []
        last = max(float(self.law.sizes.max()), *self.reach, 0.0)
        points = []
        for size in np.geomspace(float(self.law.sizes.min()), last, POINTS).tolist():
            one = self.law.predict(size)
            points.append([size, self.law.mean(size), one.low, one.high])
        return points

    def as_dict(self) -> dict[str, Any]:
        law = None
        if self.law is not None:
            law = {
                "floor": self.law.floor().as_list(),
                "exponents": [one.as_list() for one in self._exponents()],
                "noise": self.law.noise,
            }
        checked = None
        if self.coordinates is not None:
            slopes = {name: one.as_list() for name, one in self.coordinates.slopes.items()}
            checked = {"flat": self.coordinates.flat, "steepest": self.coordinates.steepest, "slopes": slopes}
        return {
            "rungs": [one.as_dict() for one in self.rungs],
            "measure": self.measure,
            "law": law,
            "why": self.why,
            "reach": list(self.reach),
            "expected": None if self.expected is None else self.expected.as_list(),
            "curve": self.curve(),
            "lines": self.lines(),
            "carry": None if self.carry is None else self.carry.as_dict(),
            "coordinates": checked,
        }


def carried_lines(found: Carry) -> list[str]:
    """Whether the rate carries over, and the best at each width."""
    each = ", ".join(
        f"{one.factor:.2g} at {one.width}{f' (the {one.edge} tried)' if one.edge else ''}" for one in found.best
    )
    verdict = {
        True: "carries over within a factor of 2",
        False: "does not carry over",
        None: "may or may not carry over: try more rates or seeds",
    }[found.carries]
    slope = (
        ""
        if found.slope is None
        else f", width^{found.slope.value:+.2f} [{found.slope.low:+.2f}, {found.slope.high:+.2f}]"
    )
    return [f"the rate {verdict}: best factor {each}{slope}"]


def best_of_sizes(found: Sequence[Climbed]) -> list[Climbed]:
    """Of each width, share and seed the training at the best rate of that width and share, by the mean over seeds."""
    chosen: list[Climbed] = []
    for width, share in dict.fromkeys((one.rung.width, one.rung.share) for one in found):
        here = [one for one in found if (one.rung.width, one.rung.share) == (width, share)]
        factors: dict[float, float] = {}
        for factor in {one.rung.factor for one in here}:
            losses = [one.loss for one in here if one.rung.factor == factor]
            factors[factor] = (
                math.inf if None in losses else sum(loss for loss in losses if loss is not None) / len(losses)
            )
        best = min(factors, key=lambda one: factors[one])
        chosen += [one for one in here if one.rung.factor == best and one.loss is not None]
    return chosen
