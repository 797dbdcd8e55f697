"""What the autopilot decided, and on what evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One step of the craft that was taken, or not taken.

    `because` is one sentence with its numbers, `evidence` the numbers themselves. `instead` is the way that was not taken, with the figure
    that was measured of it: `{"way": …, metric: value}`; empty where nothing was chosen between. `taken` is False for what was tried
    and left.
    """

    stage: str
    title: str
    because: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    instead: Mapping[str, Any] = field(default_factory=dict)
    taken: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "stage": self.stage,
            "title": self.title,
            "because": self.because,
            "evidence": dict(self.evidence),
            "instead": dict(self.instead),
            "taken": self.taken,
        }
