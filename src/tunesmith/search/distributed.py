"""`Distributed`: a number drawn from any distribution of SciPy, rather than evenly between two ends."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, did_you_mean
from tunesmith.records.plain import plain
from tunesmith.search.domains import Condition, Domain, _is_number

Floats = npt.NDArray[np.float64]
TAIL = 1e-6  # assumption: the share cut off at each end, so that 0 and 1 have a value where the tails are endless


@dataclass(frozen=True)
class Distributed(Domain):
    """A number whose place in [0, 1] is its share of the distribution below it: `scipy.stats.<name>(*args, **kwds)`.

    `step`: values are brought to its multiples. The outermost 1e-6 of each tail is never proposed.

    >>> height = Distributed("norm", (170.0, 10.0))
    >>> [round(height.from_unit(unit), 1) for unit in (0.16, 0.5, 0.84)]
    [160.1, 170.0, 179.9]
    """

    name: str
    args: tuple[Any, ...] = ()
    kwds: tuple[tuple[str, Any], ...] = ()
    when: Condition | None = None
    step: float | None = None
    _frozen: Any = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(plain(one) for one in self.args))
        object.__setattr__(
            self, "kwds", tuple(sorted((str(key), plain(value)) for key, value in dict(self.kwds).items()))
        )
        if self.step is not None and not (_is_number(self.step) and 0 < self.step < math.inf):
            raise DataError(f"Distributed {self.name!r} in steps of {self.step!r}; expected a number above 0")
        object.__setattr__(self, "_frozen", _made(self.name, self.args, self.kwds))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.args, self.kwds, self.when, self.step)

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return not hasattr(self._frozen.dist, "pdf")

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value proposed."""
        low, high = (float(self._frozen.ppf(unit)) for unit in (TAIL, 1 - TAIL))
        return self._on_step(low), self._on_step(high)

    def _on_step(self, value: float) -> float:
        return float(f"{value if self.step is None else round(value / self.step) * self.step:.12g}")

    def holds(self, value: Any) -> bool:
        if not _is_number(value):
            return False
        if self.is_whole and not float(value).is_integer():
            return False
        low, high = self.ends
        on_step = self.step is None or math.isclose(self._on_step(value), value, rel_tol=1e-9, abs_tol=1e-12)
        return low <= value <= high and on_step

    def to_unit(self, value: Any) -> float:
        return float(self.to_units(np.array([value], dtype=np.float64))[0])

    def to_units(self, values: Floats) -> Floats:
        """Where many values lie, (n,): each in the middle of its cell."""
        half = 0.5 * (self.step or (1.0 if self.is_whole else 0.0))
        return np.asarray(self._frozen.cdf(values - half) + self._frozen.cdf(values + half)) / 2

    def from_unit(self, unit: float) -> Any:
        value = self._on_step(float(self._frozen.ppf(min(1 - TAIL, max(TAIL, unit)))))
        low, high = self.ends
        value = min(high, max(low, value))
        return round(value) if self.is_whole else value

    @property
    def size(self) -> float:
        if not self.step and not self.is_whole:
            return math.inf
        low, high = self.ends
        return round((high - low) / (self.step or 1)) + 1

    def to_json(self) -> dict[str, Any]:
        data = {"type": "dist", "name": self.name, "args": list(self.args), "kwds": dict(self.kwds)}
        return data if self.step is None else data | {"step": plain(self.step)}


@functools.cache
def _families() -> dict[str, Any]:
    from scipy import stats

    kinds = (stats.rv_continuous, stats.rv_discrete)
    return {name: one for name, one in vars(stats).items() if isinstance(one, kinds)}


def _made(name: str, args: tuple[Any, ...], kwds: tuple[tuple[str, Any], ...]) -> Any:
    """SciPy's frozen distribution. Raises `DataError` for unknown names and parameters it does not take."""
    families = _families()
    if name not in families:
        raise DataError(f"SciPy has no distribution called {name!r}{did_you_mean(name, families)}")
    try:
        frozen = families[name](*args, **dict(kwds))
        middle = float(frozen.ppf(0.5))
    except (TypeError, ValueError) as error:
        raise DataError(f"the distribution {name} does not take {args} {dict(kwds)}: {error}") from None
    if not np.isfinite(middle):
        raise DataError(f"the distribution {name} with {args} {dict(kwds)} has no median; expected parameters in range")
    return frozen
