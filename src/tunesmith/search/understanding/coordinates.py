"""Parallel coordinates: each trial a line through all parameters to its score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import Trial
from tunesmith.search.domains import Choice, Domain, Ordinal
from tunesmith.search.history import as_history
from tunesmith.search.samplers.observed import encode
from tunesmith.search.space import Space, as_space

Floats = npt.NDArray[np.float64]
MOST = 300  # lines; more cannot be told apart
TICKS = 5


@dataclass(frozen=True)
class Coordinates:
    """`units`: (N, D) places on the axes, NaN where not in force; `scores`: (N,), best last, so that they are drawn on top.

    `ticks`: of each axis places and what stands there. `left_out`: trials that are no line: those between the best and a spread of the others.
    """

    names: tuple[str, ...]
    trials: tuple[int, ...]
    units: Floats
    scores: Floats
    ticks: tuple[tuple[tuple[float, str], ...], ...]
    left_out: int


def parallel(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    names: Sequence[str] | None = None,
    most: int = MOST,
) -> Coordinates:
    """Lines of the trials with a finite score: half of `most` are the best ones, half are spread evenly over the ranks of the others.

    `names`: the axes, in their order; None: all searched parameters.
    """
    whole = as_space(space)
    axes = tuple(whole.searched if names is None else names)
    history = as_history(trials)
    values = history.values()
    order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())]
    chosen = order
    if len(order) > most:
        others = order[most // 2 :]
        picked = np.linspace(0, len(others) - 1, most - most // 2).round().astype(int)
        chosen = np.concatenate([order[: most // 2], others[picked]])
    ids = [int(id) for id in chosen[::-1]]
    units = encode(whole, [history[id].change for id in ids], axes) if ids else np.zeros((0, len(axes)))
    return Coordinates(
        axes, tuple(ids), units, values[ids], tuple(_ticks(whole[name]) for name in axes), len(order) - len(ids)
    )


def _ticks(domain: Domain) -> tuple[tuple[float, str], ...]:
    if isinstance(domain, Choice | Ordinal):
        shown = domain.choices[:: max(1, math.ceil(len(domain.choices) / 12))]
        return tuple((domain.to_unit(choice), _short(choice)) for choice in shown)
    places = np.linspace(0, 1, int(min(TICKS, domain.size)) if math.isfinite(domain.size) else TICKS)
    values = dict.fromkeys(domain.from_unit(float(place)) for place in places)
    return tuple((float(domain.to_unit(value)), _short(value)) for value in values)


def _short(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 18 else text[:17] + "…"
