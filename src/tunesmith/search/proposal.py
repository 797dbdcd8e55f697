"""What a budget says comes next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.records import TunesmithError


class Exhausted(TunesmithError, RuntimeError):
    """The total budget is spent, or a finite space is: there is nothing more to propose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Train the configuration `config` of trial `trial` up to `upto` budget units in all, going on from where it stopped.

    `start`: the units it has been trained for; 0 for a new one. `copy_from`: a trial whose weights it takes over first
    (population-based training); then `start` counts from there. `because`: one sentence of why this and not another. `memo`: plain
    numbers that the budget wants to find again in `History.memo` when it is next asked; they are part of the journal, so that a
    resumed search goes on as if it had never stopped.
    """

    trial: int
    config: Mapping[str, Any]
    upto: int
    start: int = 0
    copy_from: int | None = None
    because: str = ""
    memo: Mapping[str, Any] = field(default_factory=dict)
