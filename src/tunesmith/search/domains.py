"""The kinds of one searched value: `Real`, `Int`, `Ordinal`, `Choice`, and `Fixed` for one that is not searched.

Each maps its values to the unit interval and back, so that a sampler need not know what a value means: numbers by their place
between the ends (of their logarithms where `log`), whole numbers by the middle of their cell, choices by their cell.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from tunesmith.records import DataError
from tunesmith.records.plain import plain

Condition = tuple[str, Any]  # the parent's name, and its value (or a tuple of values) under which this one is in force


class Domain(ABC):
    """The values one parameter may take."""

    when: Condition | None

    @abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether `value` is one of them."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Where `value` lies in [0, 1]."""

    @abstractmethod
    def from_unit(self, unit: float) -> Any:
        """The value at `unit`; what lies outside [0, 1] is taken to the nearer end."""

    @property
    @abstractmethod
    def size(self) -> float:
        """How many values there are; infinite for real numbers."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain data that `domain_of` takes back."""

    def under(self, when: Condition | None) -> Self:
        """The same values under another condition."""
        return replace(self, when=when)  # type: ignore[type-var]  # every domain is a dataclass

    def sample(self, rng: np.random.Generator) -> Any:
        """A value drawn evenly."""
        return self.from_unit(rng.uniform())


def _ends(kind: str, low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"{kind} from {low} to {high}; expected two finite ends")
    if not low < high:
        raise DataError(f"{kind} from {low} to {high}; expected low < high, or Fixed({low}) for one value")
    if log and low <= 0:
        raise DataError(f"{kind} from {low} to {high} on a log scale; expected low > 0, or log=False")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


@dataclass(frozen=True)
class _Cells:
    """The values low, low + step, … up to high, each with a cell of the scale around it: its middle lies `step` / 2 from its edges."""

    low: float
    high: float
    step: float
    log: bool

    def edges(self) -> tuple[float, float]:
        """The outer edges of the first and last cell, on the scale."""
        half = self.step / 2
        if self.log:
            return math.log(self.low - half if self.low > half else self.low / 2), math.log(self.high + half)
        return self.low - half, self.high + half

    def place(self, value: float) -> float:
        low, high = self.edges()
        return ((math.log(value) if self.log else float(value)) - low) / (high - low)

    def number(self, unit: float) -> int:
        """Which cell lies at `unit`, from 0."""
        low, high = self.edges()
        value = low + min(1.0, max(0.0, unit)) * (high - low)
        found = math.floor(((math.exp(value) if self.log else value) - self.low) / self.step + 0.5)
        return min(self.count - 1, max(0, found))

    def holds(self, value: float) -> bool:
        steps = (value - self.low) / self.step
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-6  # rounding, not another value

    @property
    def count(self) -> int:
        return round((self.high - self.low) / self.step) + 1


def _last(low: float, high: float, step: float) -> float:
    """The last of low, low + step, … that is not above `high`."""
    return low + math.floor((high - low) / step + 1e-9) * step  # 0.3 / 0.1 is 2.9999999999999996


def _stepped(kind: str, low: float, high: float, step: float) -> None:
    if not _is_number(step) or not (0 < step <= high - low):
        raise DataError(f"{kind} from {low} to {high} in steps of {step!r}; expected a step in (0, high - low]")


@dataclass(frozen=True)
class Real(Domain):
    """A real number in [low, high]; `log`: evenly over its logarithm; `step`: only low, low + step, … (`high` is brought down to one).

    >>> Real(1e-4, 1e-2, log=True).from_unit(0.5)
    0.001
    >>> [Real(0, 1, step=0.25).from_unit(unit) for unit in (0, 0.3, 1)]
    [0.0, 0.25, 1.0]
    """

    low: float
    high: float
    log: bool = False
    when: Condition | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        _ends("Real", self.low, self.high, self.log)
        if self.step is not None:
            _stepped("Real", self.low, self.high, self.step)
            object.__setattr__(self, "high", float(f"{_last(self.low, self.high, self.step):.12g}"))

    @property
    def cells(self) -> _Cells | None:
        return None if self.step is None else _Cells(self.low, self.high, self.step, self.log)

    def holds(self, value: Any) -> bool:
        cells = self.cells
        return _is_number(value) and self.low <= value <= self.high and (cells is None or cells.holds(value))

    def to_unit(self, value: Any) -> float:
        cells = self.cells
        if cells is not None:
            return cells.place(value)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return float((value - self.low) / (self.high - self.low))

    def from_unit(self, unit: float) -> float:
        unit = min(1.0, max(0.0, unit))
        cells = self.cells
        if cells is not None:
            return self.nth(cells.number(unit))
        if self.log:
            value = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
            value = float(f"{value:.12g}")  # e^(log x) is not x in the last places
        else:
            value = self.low + unit * (self.high - self.low)
        return float(min(self.high, max(self.low, value)))

    def nth(self, number: int) -> float:
        """low + `number` steps, without the noise of the last places."""
        value = float(f"{self.low + number * (self.step or 0.0):.12g}")
        return float(min(self.high, max(self.low, value)))

    @property
    def size(self) -> float:
        cells = self.cells
        return math.inf if cells is None else cells.count

    def to_json(self) -> dict[str, Any]:
        data = {"type": "float", "low": plain(self.low), "high": plain(self.high), "log": self.log}
        return data if self.step is None else data | {"step": plain(self.step)}


@dataclass(frozen=True)
class Int(Domain):
    """A whole number in [low, high], both in reach; `log`: evenly over its logarithm; `step`: only low, low + step, …

    >>> [Int(1, 4).from_unit(unit) for unit in (0, 0.24, 0.26, 1)]
    [1, 1, 2, 4]
    >>> Int(8, 70, step=32).high
    40
    """

    low: int
    high: int
    log: bool = False
    when: Condition | None = None
    step: int = 1

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if isinstance(end, bool) or not float(end).is_integer():
                raise DataError(f"Int from {self.low} to {self.high}; expected whole numbers, or Real for others")
        _ends("Int", self.low, self.high, self.log)
        _stepped("Int", self.low, self.high, self.step)
        if not float(self.step).is_integer():
            raise DataError(f"Int from {self.low} to {self.high} in steps of {self.step}; expected a whole step")
        object.__setattr__(self, "step", int(self.step))
        object.__setattr__(self, "low", int(self.low))
        object.__setattr__(self, "high", self.low + (int(self.high) - self.low) // self.step * self.step)

    @property
    def cells(self) -> _Cells:
        return _Cells(self.low, self.high, self.step, self.log)

    def holds(self, value: Any) -> bool:
        return _is_number(value) and float(value).is_integer() and self.cells.holds(value)

    def to_unit(self, value: Any) -> float:
        return self.cells.place(value)

    def from_unit(self, unit: float) -> int:
        return self.low + self.cells.number(unit) * self.step

    @property
    def size(self) -> float:
        return self.cells.count

    def to_json(self) -> dict[str, Any]:
        data = {"type": "int", "low": self.low, "high": self.high, "log": self.log}
        return data if self.step == 1 else data | {"step": self.step}


@dataclass(frozen=True)
class _Listed(Domain):
    choices: tuple[Any, ...]
    when: Condition | None = None
    kind: str = field(default="", init=False, repr=False)

    def __init__(self, choices: Sequence[Any], when: Condition | None = None) -> None:
        if isinstance(choices, str) or not isinstance(choices, Sequence):
            raise DataError(f"{type(self).__name__} of {choices!r}; expected a list of values")
        if not choices:
            raise DataError(f"{type(self).__name__} of no values; expected one at least")
        seen: list[Any] = []
        for choice in map(_settled, choices):
            if any(_same(choice, other) for other in seen):
                raise DataError(f"{type(self).__name__} holds {choice!r} twice; expected each value once")
            seen.append(choice)
        object.__setattr__(self, "choices", tuple(seen))
        object.__setattr__(self, "when", when)

    def index(self, value: Any) -> int:
        """The place of `value` among the choices; 1, 1.0 and True are three values."""
        for place, choice in enumerate(self.choices):
            if _same(choice, value):
                return place
        raise DataError(f"{value!r} is none of {list(self.choices)}")

    def holds(self, value: Any) -> bool:
        return any(_same(choice, value) for choice in self.choices)

    def to_unit(self, value: Any) -> float:
        return (self.index(value) + 0.5) / len(self.choices)

    def from_unit(self, unit: float) -> Any:
        return self.choices[min(len(self.choices) - 1, max(0, int(unit * len(self.choices))))]

    @property
    def size(self) -> float:
        return len(self.choices)

    def to_json(self) -> dict[str, Any]:
        return {"type": self.kind, "choices": [plain(choice) for choice in self.choices]}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):  # a tuple comes back from a file as a list
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return one is other or bool(one == other)


def _settled(value: Any) -> Any:
    """Lists as tuples, at all depths: a value that stands in many configurations is not to change under them."""
    return tuple(_settled(item) for item in value) if isinstance(value, list | tuple) else value


class Ordinal(_Listed):
    """One of a few values in order, such as batch sizes: neighbours are alike."""

    kind = "ord"


class Choice(_Listed):
    """One of a few values without an order."""

    kind = "cat"


@dataclass(frozen=True)
class Fixed(Domain):
    """One value that is not searched, but stands in every configuration."""

    value: Any
    when: Condition | None = None

    def holds(self, value: Any) -> bool:
        return _same(self.value, value)

    def to_unit(self, value: Any) -> float:
        return 0.5

    def from_unit(self, unit: float) -> Any:
        return self.value

    @property
    def size(self) -> float:
        return 1

    def to_json(self) -> dict[str, Any]:
        return {"type": "fixed", "value": plain(self.value)}
