"""Whether the space was too narrow: several of the best trials lie at the same end of a range.

Source: the boundary check of Godbole et al., Deep Learning Tuning Playbook (2023): "if the best points cluster toward the edge of the
search space, expand it".
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.records import Evidence, Finding, Remedy, Safety, Trial
from tunesmith.search.domains import Domain, Int, Ordinal, Real
from tunesmith.search.space import Space, as_space
from tunesmith.search.understanding.seen import compared

OUTER = 0.1  # share of a range, on its scale, that is its edge
BEST = 5  # trials looked at
CHANCE = (
    0.01  # that so many of them, the best included, lie at one edge of a parameter that does not matter; assumption
)
WIDER = 1 / 3  # of the range, on its scale, that is added; assumption
SOURCE = "Deep Learning Tuning Playbook; 1 % by chance"


def edges(space: Space | Mapping[str, Domain], trials: Sequence[Trial]) -> list[Finding]:
    """One finding for each parameter whose best values lie at an end, the end to move and where to.

    Numbers and ordinals are looked at; not the lower end of a linear range that begins at 0, nor the upper of one that ends at 1: mostly
    there is nothing beyond. None with fewer than 10 trials.
    """
    whole = as_space(space)
    _, seen = compared(whole, trials, BEST)
    if len(seen) < 2 * BEST:
        return []
    best = [row for row in seen.order[:BEST] if np.isfinite(seen.values[row])]
    return [
        found for column, name in enumerate(seen.names) for found in _at(name, whole[name], seen.units[best, column])
    ]


def _at(name: str, domain: Domain, units: Any) -> Iterator[Finding]:
    if not isinstance(domain, Real | Int | Ordinal) or len(units) < BEST or np.isnan(units[0]):
        return
    needed = agreeing(_edge(domain))
    for high in (False, True):
        inside = units >= 1 - _edge(domain) if high else units <= _edge(domain)
        if inside.sum() >= needed and inside[0] and not _natural(domain, high):
            yield _finding(name, domain, high, int(inside.sum()), needed)


def _edge(domain: Domain) -> float:
    """The share of the range that is its edge: the outer tenth; of few values the outermost alone."""
    return max(OUTER, 1 / domain.size)


def agreeing(share: float) -> int:
    """How many of the 5 best must lie in an edge of this share; 6 where even all of them are no surprise.

    >>> agreeing(0.1), agreeing(1 / 4)
    (3, 5)
    """
    for count in range(1, BEST + 1):
        others = range(count - 1, BEST)
        if share * sum(math.comb(BEST - 1, k) * share**k * (1 - share) ** (BEST - 1 - k) for k in others) <= CHANCE:
            return count
    return BEST + 1


def _natural(domain: Domain, high: bool) -> bool:
    if not isinstance(domain, Real | Int) or domain.log:
        return False
    return (high and domain.high == 1) or (
        not high and domain.low in (0, 1) and not (domain.low == 1 and isinstance(domain, Real))
    )


def _finding(name: str, domain: Domain, high: bool, count: int, needed: int) -> Finding:
    side = "high" if high else "low"
    end = domain.from_unit(1.0 if high else 0.0)
    values = {"name": name, "count": count, "of": BEST, "end": _short(end)}
    remedy = _wider(name, domain, high)
    return Finding(
        fault="search.edge",
        severity="warning",
        message=f"search.edge_{side}",
        values=values,
        evidence=(
            Evidence(name="share_at_edge", value=count / BEST, threshold=needed / BEST, source=SOURCE, where=name),
        ),
        remedies=(remedy,),
        confidence=0.7,
        subject={"parameter": name, "side": side},
    )


def widened(domain: Domain, side: str) -> Domain:
    """The domain with its `low` or `high` end moved outwards by a third of its range; as it is where its values are a list.

    >>> widened(Real(1e-3, 1.0, log=True), "low").low, widened(Int(1, 4), "high").high
    (0.0001, 5)
    """
    if not isinstance(domain, Real | Int):
        return domain
    bound: Any = _bound(domain, side == "high")
    return replace(domain, high=bound) if side == "high" else replace(domain, low=bound)


def _bound(domain: Real | Int, high: bool) -> float | int:
    """Where an end is moved to."""
    low, top = float(domain.low), float(domain.high)
    if domain.log:
        factor = (top / low) ** WIDER
        bound = top * factor if high else low / factor
    else:
        bound = top + WIDER * (top - low) if high else low - WIDER * (top - low)
    if isinstance(domain, Int):
        bound = math.ceil(bound) if high else max(1 if domain.log else -math.inf, math.floor(bound))
    if not high and domain.low >= 0:
        bound = max(bound, 0)
    return float(f"{bound:.12g}") if isinstance(domain, Real) else int(bound)


def _wider(name: str, domain: Domain, high: bool) -> Remedy:
    if isinstance(domain, Real | Int):
        bound = _bound(domain, high)
        return Remedy(title="search.widen", safety=Safety.ADVICE, values={"name": name, "bound": _short(bound)})
    return Remedy(title="search.more_values", safety=Safety.ADVICE, values={"name": name})


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
