"""The effective rate: what a learning rate, its optimizer and its momentum come to together.

Of all that is searched the rate matters most, and no parameter shows it alone: 0.02 is usual for SGD with momentum and wild for Adam, and
momentum m multiplies the rate of SGD by 1 / (1 - m). Counted in decades from what is usual for the optimizer (the rules of thumb), rates of
several optimizers lie on one line, near 0 where training works. Where a space has a rate for each optimizer, the one that is in force counts; where
none is, the effective rate stands at 0.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tunesmith.blocks import experience
from tunesmith.search.domains import Choice, Domain, Fixed, Int, Ordinal, Real
from tunesmith.search.space import Space

Floats = npt.NDArray[np.float64]
RATES = ("lr", "learning_rate", "learning_rate_init", "eta0", "step_size")  # last parts of a parameter's name
MOMENTA = ("momentum",)
OPTIMIZERS = ("optimizer", "optim", "solver", "optim.name")
LEAST = 1e-3  # of 1 - momentum
TINY = 1e-30  # a rate of 0 is as this one
USUAL = 0.9  # the momentum that the usual rates of SGD are meant for (rule lr.sgd)
MOVED_BY_MOMENTUM = ("sgd",)


class EffectiveRate:
    """Of rows of units (N, D), the columns named `names`: the decades from the usual rate."""

    def __init__(self, space: Space, names: list[str], rates: list[str]) -> None:
        self.rates = [(names.index(name), space[name]) for name in rates]
        momentum = next(_called(space, MOMENTA), None)
        self.momentum = None if momentum is None else (_place(names, momentum), space[momentum])
        optimizer = next(_called(space, OPTIMIZERS), None)
        self.optimizer = _place(names, optimizer)
        values = _values(space, optimizer) or ["sgd" if momentum else "adamw"]
        self.usual = np.array([usual_rate(str(value)) for value in values])
        self.moved = np.array([_name(str(value)) in MOVED_BY_MOMENTUM for value in values])

    def decades(self, units: Floats) -> Floats:
        """(N,) of (N, D)."""
        which = self._which(units)
        found = np.log10(np.maximum(self._rate(units), TINY)) - np.log10(self.usual[which])
        if self.momentum is not None:
            held = np.maximum(1 - self._held(units), LEAST)
            found = found - np.where(self.moved[which], np.log10(held / (1 - USUAL)), 0.0)
        return np.asarray(np.nan_to_num(found), dtype=np.float64)

    def _rate(self, units: Floats) -> Floats:
        """(N,) the rate, that of the first which is in force; not a number where none is."""
        found = np.full(len(units), np.nan)
        for place, domain in self.rates:
            here = np.isnan(found) & ~np.isnan(units[:, place])
            found[here] = numbers(domain, units[here, place])
        return found

    def _which(self, units: Floats) -> npt.NDArray[np.int64]:
        if self.optimizer is None:
            return np.zeros(len(units), dtype=np.int64)
        count = len(self.usual)
        return np.minimum(count - 1, np.nan_to_num(units[:, self.optimizer]) * count).astype(np.int64)

    def _held(self, units: Floats) -> Floats:
        """(N,) the momentum, 0 where it is not in force."""
        assert self.momentum is not None
        place, domain = self.momentum
        if place is None:
            return np.full(len(units), float(domain.from_unit(0.5)))
        column = units[:, place]
        return np.where(np.isnan(column), 0.0, numbers(domain, np.nan_to_num(column)))


def effective_rate(space: Space, names: list[str]) -> EffectiveRate | None:
    """The effective rate of a space, None where no learning rate is searched.

    >>> from tunesmith.search.domains import Real
    >>> found = effective_rate(Space({"lr": Real(1e-4, 1.0, log=True), "momentum": Real(0.0, 0.99)}), ["lr", "momentum"])
    >>> found.decades(np.array([[0.5, 0.0], [0.5, 0.9 / 0.99]])).round(3).tolist()  # 0.01; SGD's usual is 0.02 beside 0.9
    [-1.301, -0.301]
    """
    rates = [name for name in _called(space, RATES) if name in names and isinstance(space[name], Real | Int)]
    return EffectiveRate(space, names, rates) if rates else None


def numbers(domain: Domain, units: Floats) -> Floats:
    """(N,) the values at (N,) places of a domain of numbers."""
    if isinstance(domain, Real) and domain.step is None and domain.log:
        low, high = math.log(domain.low), math.log(domain.high)
        return np.asarray(np.exp(low + units * (high - low)), dtype=np.float64)
    if isinstance(domain, Real) and domain.step is None:
        return np.asarray(domain.low + units * (domain.high - domain.low), dtype=np.float64)
    return np.array([float(domain.from_unit(unit)) for unit in units.tolist()], dtype=np.float64)


def usual_rate(optimizer: str) -> float:
    """The rate at which an MLP is usually begun with this optimizer; that of AdamW for one without a rule."""
    for name in (_name(optimizer), "adamw"):
        known = {"momentum": USUAL} if name in MOVED_BY_MOMENTUM else {}
        rule = experience.find("optim.lr", model="mlp", optimizer=name, **known)
        if rule is not None:
            return float(rule.start)
    raise LookupError("the rules of thumb have no rate of adamw")


def _name(optimizer: str) -> str:
    return experience.optimizer_of(optimizer.lower())


def _called(space: Space, names: tuple[str, ...]) -> Iterator[str]:
    """The parameters that are called so, whole or by what stands behind their last point."""
    return (one for one in space if one.lower() in names or one.lower().rsplit(".", 1)[-1] in names)


def _place(names: list[str], name: str | None) -> int | None:
    return names.index(name) if name in names else None


def _values(space: Space, optimizer: str | None) -> list[object]:
    if optimizer is None:
        return []
    domain = space[optimizer]
    if isinstance(domain, Choice | Ordinal):
        return list(domain.choices)
    return [domain.from_unit(0.5)] if isinstance(domain, Fixed) else []
