"""Configurations as rows of numbers, many at once.

A row of *units* has a place in [0, 1] for each searched parameter, not a number where the parameter is not in force. *Features* are what
distances are taken of: numbers by their place, of a choice a column for each value, one over the square root of two where it is chosen, so that
two values are one apart; a parameter that is not in force stands in the middle. Where a learning rate is searched the last column is the
effective rate, in decades.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.search.domains import Choice, Domain, Int, Ordinal, Real
from tunesmith.search.freeze_thaw.effective import effective_rate
from tunesmith.search.space import Config, Space, meets, values_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
CLOSE = 1e-9


class Encoding:
    """The searched parameters of a space, in its order; D of them, in F columns of features.

    `experience`: whether a parameter that is called as a learning rate is known for one.
    """

    def __init__(self, space: Space, *, experience: bool = True) -> None:
        self.space = space
        self.names = space.searched
        self.is_choice = np.array([isinstance(space[name], Choice) for name in self.names], dtype=bool)
        self._snaps = [_snap(space[name]) for name in self.names]
        self._rules = [(place, self._rule(name)) for place, name in enumerate(self.names)]
        self._counts = [len(d.choices) if isinstance(d := space[name], Choice) else 1 for name in self.names]
        self.group = np.repeat(np.arange(len(self.names)), self._counts)  # (F,) the parameter of each feature
        self.effective = effective_rate(space, list(self.names)) if experience else None
        if self.effective is not None:
            self.group = np.append(self.group, len(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def units(self, config: Mapping[str, Any]) -> Floats:
        """(D,) of one configuration."""
        return np.array(
            [self.space[name].to_unit(config[name]) if name in config else math.nan for name in self.names],
            dtype=np.float64,
        )

    def config(self, units: Floats) -> Config:
        """The configuration of one row."""
        filled = np.where(np.isnan(units), 0.5, units)
        return self.space.from_units(
            dict.fromkeys(self.space, 0.5) | dict(zip(self.names, filled.tolist(), strict=True))
        )

    def snapped(self, units: Floats) -> Floats:
        """(N, D) with whole numbers and choices at the middle of their cells, and what is not in force left out."""
        moved = np.clip(units, 0.0, 1.0)
        for place, snap in enumerate(self._snaps):
            moved[:, place] = snap(moved[:, place])
        for place, rule in self._rules:
            if rule is not None:
                moved[~rule(moved), place] = math.nan
        return moved

    def features(self, units: Floats) -> Floats:
        """(N, F) of (N, D)."""
        columns = []
        for place, count in enumerate(self._counts):
            column = units[:, place]
            if not self.is_choice[place]:
                columns.append(np.where(np.isnan(column), 0.5, column)[:, None])
                continue
            chosen = np.minimum(count - 1, np.nan_to_num(column * count)).astype(int)
            hot = (chosen[:, None] == np.arange(count)) / math.sqrt(2)
            columns.append(np.where(np.isnan(column)[:, None], 0.0, hot))
        if self.effective is not None:
            columns.append(self.effective.decades(units)[:, None])
        return np.hstack(columns) if columns else np.zeros((len(units), 0))

    def allowed(self, units: Floats) -> Bools:
        """(N,) whether the constraints are met."""
        if not self.space.constraints:
            return np.ones(len(units), dtype=bool)
        return np.array([self.space.allows(self.config(row)) for row in units], dtype=bool)

    def _rule(self, name: str) -> Callable[[Floats], Bools] | None:
        """Of rows of units, whether the parameter is in force; None where it always is."""
        when = self.space[name].when
        if when is None:
            return None
        parent = when[0]
        above = self._rule(parent)
        if parent not in self.names:  # it has one value
            holds = meets(when, self.space[parent].from_unit(0.5))
            return lambda rows: np.full(len(rows), holds) if above is None else above(rows) & holds
        place = self.names.index(parent)
        domain = self.space[parent]
        places = np.array([domain.to_unit(value) for value in values_of(domain) if meets(when, value)])

        def in_force(rows: Floats) -> Bools:
            met: Bools = (np.abs(rows[:, place, None] - places) < CLOSE).any(1)
            return met if above is None else met & above(rows)

        return in_force


def _snap(domain: Domain) -> Callable[[Floats], Floats]:
    """(N,) places to places of values."""
    if isinstance(domain, Real) and domain.step is None:
        return lambda units: units
    if isinstance(domain, Choice | Ordinal):
        count = len(domain.choices)
        return lambda units: (np.minimum(count - 1, np.floor(units * count)) + 0.5) / count
    if isinstance(domain, Int) and domain.size <= 4096:  # the cells are worked out once
        values = [domain.to_unit(value) for value in values_of(domain)]
        cells = np.array(values)
        return lambda units: (
            cells[np.abs(units[:, None] - cells).argmin(1)] if len(cells) < 64 else _nearest(units, cells)
        )
    return lambda units: np.array([domain.to_unit(domain.from_unit(unit)) for unit in units.tolist()])


def _nearest(units: Floats, cells: Floats) -> Floats:
    """The nearest of rising `cells`."""
    right = np.clip(np.searchsorted(cells, units), 1, len(cells) - 1)
    left = right - 1
    return np.where(units - cells[left] <= cells[right] - units, cells[left], cells[right])
