"""One attempt of a search."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TrialState = Literal["running", "paused", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change of the recipe and what came of it, budget unit by budget unit."""

    id: int
    change: Mapping[str, Any]
    records: tuple[Mapping[str, float], ...] = ()
    state: TrialState = "running"
    reason: str = ""
    seed: int = 0
    spent: float = 0.0
    checkpoint: str | None = None
    parent: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
