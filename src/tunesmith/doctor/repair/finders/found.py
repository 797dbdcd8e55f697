"""What the rate finder hands over."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tunesmith.doctor.repair.finders.curve import Curve
from tunesmith.doctor.repair.finders.trials import Tried
from tunesmith.records.messages import render


@dataclass(frozen=True, slots=True)
class FoundRate:
    """A rate that was trained at, with its range and what speaks for it; `rate` is None where none trains, and `because` says why.

    `rate` is that of the group with most weights, at the peak of the schedule; `rates` has one for each group, in the ratios they had.
    `lowest` and `highest` are the ends of the rates that train about as well. `change` is for the recipe of a task.
    """

    rate: float | None
    lowest: float | None
    highest: float | None
    confidence: float  # in [0, 1]
    rates: tuple[float, ...]
    message: str
    values: Mapping[str, Any]
    curve: Curve | None
    tried: tuple[Tried, ...]  # by rate, the longest training at each
    updates: int  # made in all, the range test among them
    of: int  # updates of the program's whole run
    seconds: float
    change: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """One sentence with numbers."""
        return self.text()

    def text(self, language: str = "en") -> str:
        """The same in a language."""
        return render(self.message, self.values, language)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rate": self.rate,
            "lowest": self.lowest,
            "highest": self.highest,
            "confidence": self.confidence,
            "rates": list(self.rates),
            "because": self.because,
            "curve": None if self.curve is None else asdict(self.curve),
            "tried": [asdict(one) for one in self.tried],
            "updates": self.updates,
            "of": self.of,
            "seconds": self.seconds,
            "change": dict(self.change),
            "notices": list(self.notices),
        }
