"""How a learning rate over a run is shown: as text, as plain numbers, as a picture."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tunesmith.reports.picture import Panel
from tunesmith.reports.plot import Look, curve
from tunesmith.reports.svg import Line, thinned
from tunesmith.reports.wording import count, counted, number

Array: TypeAlias = np.ndarray[Any, Any]
MOST_RESTARTS = 12  # more are only counted
MOST_NUMBERS = 200  # of the rates under --json, about
TALL, LOW = 12, 5  # rows of a curve alone, of one among others or of the momentum
X = "updates made"


@dataclass(frozen=True, slots=True)
class Shown:
    """`rates[t]` is the learning rate of the update after `t` others; a `peak` of None counts in peaks."""

    name: str
    rates: Array
    peak: float | None = None
    momentum: Array | None = None
    warmup: int = 0
    restarts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return len(self.rates)

    @property
    def highest(self) -> int:
        """The first step with the highest rate."""
        return int(np.argmax(self.rates))

    @property
    def unit(self) -> str:
        return "rate" if self.peak is not None else "rate / peak rate"

    def marks(self) -> list[tuple[float, str]]:
        """Upright lines: the end of the warm-up, and restarts."""
        told: list[tuple[float, str]] = [(self.warmup, "warm-up ends")] if 0 < self.warmup < self.steps else []
        room = self.steps / 6  # assumption: what a word takes of the width
        for step in self.restarts if len(self.restarts) <= MOST_RESTARTS else ():
            told.append((step, "restart" if not told or step - told[-1][0] > room else ""))
        return told

    def facts(self) -> list[str]:
        """The numbers that one looks for."""
        rates = self.rates
        told = [f"first {number(float(rates[0]))}"]
        told.append(f"peak {number(float(rates[self.highest]))} after {counted(self.highest, 'update')}")
        told += [f"last {number(float(rates[-1]))}", counted(self.steps, "update")]
        told += [f"warm-up {count(self.warmup)}"] if self.warmup else []
        listed = ", ".join(count(step) for step in self.restarts)
        told += (
            [f"restarts at {listed}" if len(self.restarts) <= MOST_RESTARTS else f"{len(self.restarts)} restarts"]
            if self.restarts
            else []
        )
        return told

    def text(self, look: Look, *, height: int = TALL) -> str:
        """Name, curve, numbers, warnings."""
        whole = (fact.replace(" ", "\xa0") for fact in self.facts())  # a line breaks between facts alone
        wrapped = textwrap.wrap("\xa0· ".join(whole), look.width, break_on_hyphens=False)
        drawn = curve(
            np.arange(self.steps),
            self.rates,
            labels=(X, self.unit),
            look=look,
            height=height,
            marks=self.marks(),
            y_range=(min(float(self.rates.min()), 0.0), float(self.rates.max()) or 1.0),
            x_range=(0, self.steps),
            whole=True,
        )
        parts = [self.name, *(line.replace("\xa0", " ") for line in wrapped), "", drawn]
        if self.momentum is not None:
            below: dict[str, Any] = {"look": look, "height": LOW, "x_range": (0, self.steps), "whole": True}
            parts += ["", curve(np.arange(self.steps), self.momentum, labels=(X, "momentum"), **below)]
        said = [f"note: {one}" for one in self.notes] + [f"warning: {one}" for one in self.warnings]
        for one in said:
            parts += ["", *textwrap.wrap(one, look.width, break_on_hyphens=False)]
        return ascii_only("\n".join(parts)) if look.plain else "\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain data; `rates` are pairs [updates made, rate], thinned but for the first, the highest and the last."""
        told = {
            "name": self.name,
            "steps": self.steps,
            "rates": pairs(self.rates),
            "first": float(self.rates[0]),
            "peak": float(self.rates[self.highest]),
            "peak_at": self.highest,
            "last": float(self.rates[-1]),
            "warmup": self.warmup,
            "restarts": list(self.restarts),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }
        return told | ({"momentum": pairs(self.momentum)} if self.momentum is not None else {})

    def panels(self) -> list[Panel]:
        """What a picture shows."""
        times, whole = np.arange(self.steps), (0.0, float(self.steps))
        found = [Panel(self.name, [Line("", times, self.rates)], (X, self.unit), self.marks(), whole, True)]
        if self.momentum is not None:
            found.append(Panel("", [Line("", times, self.momentum, 2)], (X, "momentum"), (), whole, True))
        return found


def pairs(values: Array) -> list[list[float]]:
    """[step, value] of about `MOST_NUMBERS` steps; the extremes of each stretch and both sides of a leap are kept."""
    kept, _ = thinned(np.arange(len(values)), values, MOST_NUMBERS)
    leaps = np.flatnonzero(np.abs(np.diff(values)) > 0.02 * np.ptp(values))[:MOST_NUMBERS]
    steps = sorted({0, len(values) - 1, int(np.argmax(values)), *kept.tolist(), *leaps.tolist(), *(leaps + 1).tolist()})
    return [[step, float(values[step])] for step in steps]


def several(shown: Sequence[Shown], look: Look) -> str:
    """Schedules one above the other."""
    height = TALL if len(shown) == 1 else LOW + 2
    return "\n\n".join(one.text(look, height=height) for one in shown)


def ascii_only(text: str) -> str:
    return text.replace("·", "|")
