"""Budgets: which trial trains next, and how far.

A member takes a `Setting` and gives `next(trials, rng) -> Proposal`: start a new configuration, go on with one from where it stopped, or
take over another's weights. It keeps nothing that it could not work out again from the history.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesmith.records import Catalog
from tunesmith.search.history import History
from tunesmith.search.prior import Prior
from tunesmith.search.proposal import Proposal
from tunesmith.search.samplers import Sampler
from tunesmith.search.space import Space


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a budget divides: `max_budget` units are one full training, `total` units all there is (None: no end).

    `sampler` proposes configurations; None leaves it to the budget. `options` are those of the budget itself, such as `eta`.
    """

    space: Space
    max_budget: int
    sampler: Sampler | None = None
    total: int | None = None
    prior: Prior | None = None
    workers: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


Next = Callable[[History, np.random.Generator], Proposal]
Budget = Callable[[Setting], Next]

BUDGETS: Catalog[Budget] = Catalog("budget")
BUDGETS.load(__path__, __name__)
