"""A search space: parameters by name, conditions between them, constraints over them.

>>> space = Space({"optimizer": Choice(["sgd", "adam"]), "momentum": Real(0, 0.99, when=("optimizer", "sgd"))})
>>> space.active({"optimizer": "adam", "momentum": 0.5})
{'optimizer': 'adam'}
>>> Space.from_json(space.to_json()) == space
True
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.records import DataError, did_you_mean
from tunesmith.records.plain import plain
from tunesmith.search.constraint import Constraint, constraint_of
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Condition, Domain, Fixed, Int, Ordinal, Real, _same

Config = dict[str, Any]
TRIES = 10_000  # draws until a constraint is met; a space that is met more seldom is a mistake
KINDS = ("float", "int", "ord", "cat", "dist", "fixed")


class Space(Mapping[str, Domain]):
    """Domains by name, parents before their children.

    `domains`: of each parameter a `Domain`, its plain form (`{"type": "float", "low": …}`), or a bare value that is fixed.
    `constraints`: expressions such as `"depth * width <= 4096"`, or functions of a configuration that say whether it may be tried.

    Raises `DataError` for unknown parents, conditions no value meets, circles, and plain forms that cannot be read.
    """

    def __init__(self, domains: Mapping[str, Any], constraints: Sequence[str | Callable[[Config], bool]] = ()) -> None:
        if not domains:
            raise DataError("the space has no parameters; expected one at least")
        read = {str(name): domain_of(name, domain) for name, domain in domains.items()}
        self._domains = _in_order(read)
        self.constraints: tuple[Constraint, ...] = tuple(constraint_of(one, read) for one in constraints)

    def __getitem__(self, name: str) -> Domain:
        return self._domains[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._domains)

    def __len__(self) -> int:
        return len(self._domains)

    def __repr__(self) -> str:
        return f"Space({self._domains!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._domains == other._domains and self.constraints == other.constraints

    __hash__ = None  # type: ignore[assignment]

    @property
    def searched(self) -> list[str]:
        """The names with more than one value."""
        return [name for name, domain in self.items() if domain.size > 1]

    @property
    def size(self) -> float:
        """How many configurations there are, constraints not counted; infinite with a real number in it."""
        sizes = [self._size_under(name) for name, domain in self.items() if domain.when is None]
        return math.prod(sizes)

    def _size_under(self, name: str) -> float:
        domain = self[name]
        children = [child for child, one in self.items() if one.when is not None and one.when[0] == name]
        if not children:
            return domain.size
        if math.isinf(domain.size):
            raise DataError(f"{name!r} has children and is a range; expected a choice as their parent")
        return sum(
            math.prod(self._size_under(child) for child in children if meets(self[child].when, value))
            for value in values_of(domain)
        )

    def active(self, config: Mapping[str, Any]) -> Config:
        """Only what is in force, in the order of the space; fixed values put in."""
        kept: Config = {}
        for name, domain in self.items():
            if not self.in_force(domain, kept):
                continue
            if isinstance(domain, Fixed):
                kept[name] = domain.value
            elif name in config:
                kept[name] = config[name]
        return kept

    @staticmethod
    def in_force(domain: Domain, chosen: Mapping[str, Any]) -> bool:
        """Whether a parameter of this domain stands in a configuration with these values; its parent's must be among them."""
        return domain.when is None or (domain.when[0] in chosen and meets(domain.when, chosen[domain.when[0]]))

    def allows(self, config: Mapping[str, Any]) -> bool:
        """Whether the constraints are met."""
        return all(constraint(config) for constraint in self.constraints)

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether `config` has just the parameters in force, each with a value of its domain, and the constraints are met."""
        active = self.active(config)
        return (
            set(active) == set(config)
            and set(active) == set(self.names_in_force(config))
            and all(self[name].holds(value) for name, value in config.items())
            and self.allows(config)
        )

    def names_in_force(self, config: Mapping[str, Any]) -> list[str]:
        """The names a configuration with these values must have."""
        names: list[str] = []
        for name, domain in self.items():
            if domain.when is None or (domain.when[0] in names and meets(domain.when, config.get(domain.when[0]))):
                names.append(name)
        return names

    def checked(self, config: Mapping[str, Any]) -> Config:
        """`config` as the space has it: inactive parameters dropped, whole numbers as such. Raises `DataError` where it does not fit."""
        unknown = [name for name in config if name not in self]
        if unknown:
            raise DataError(f"no parameter called {unknown[0]!r} in the space{did_you_mean(str(unknown[0]), self)}")
        active = self.active(config)
        for name in self.names_in_force(active):
            if name not in active:
                raise DataError(f"the configuration has no {name!r}; expected a value of {self[name]}")
            if not self[name].holds(active[name]):
                raise DataError(f"{name} is {active[name]!r}; expected a value of {self[name]}")
            if isinstance(self[name], Int):
                active[name] = int(active[name])
        if not self.allows(active):
            broken = next(constraint for constraint in self.constraints if not constraint(active))
            raise DataError(f"the configuration {active} does not meet the constraint {broken}")
        return active

    def sample(self, rng: np.random.Generator) -> Config:
        """A configuration drawn evenly from those the constraints allow. Raises `DataError` where none is found."""
        for _ in range(TRIES):
            config = self.from_units(dict(zip(self, rng.uniform(size=len(self)).tolist(), strict=True)))
            if self.allows(config):
                return config
        raise DataError(
            f"no configuration in {TRIES} draws met the constraints {[str(one) for one in self.constraints]}; widen the space"
        )

    def from_units(self, units: Mapping[str, float]) -> Config:
        """The configuration at these places in [0, 1], inactive parameters left out."""
        config: Config = {}
        for name, domain in self.items():
            if self.in_force(domain, config):
                config[name] = domain.from_unit(units[name])
        return config

    def to_units(self, config: Mapping[str, Any]) -> dict[str, float]:
        """The places in [0, 1] of what is in force."""
        return {name: self[name].to_unit(value) for name, value in config.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` takes back. Raises `DataError` for a constraint that is a function: it has no text."""
        domains: dict[str, Any] = {}
        for name, domain in self.items():
            domains[name] = domain.to_json()
            if domain.when is not None:
                domains[name]["if"] = [domain.when[0], plain(domain.when[1])]
        return {"parameters": domains, "constraints": [constraint.text() for constraint in self.constraints]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Space":
        """The space that `to_json` wrote."""
        return Space(data["parameters"], data.get("constraints", ()))


def as_space(space: Any) -> Space:
    """A `Space` of a mapping of domains; a `Space` as it is. Raises `DataError` for anything else."""
    if isinstance(space, Space):
        return space
    if isinstance(space, Mapping):
        return Space(space)
    raise DataError(
        f"a space came as {type(space).__name__}; expected a mapping of names to Real, Int, Ordinal or Choice"
    )


def values_of(domain: Domain) -> tuple[Any, ...]:
    """All values of a domain that has finitely many."""
    if isinstance(domain, Ordinal | Choice):
        return domain.choices
    if isinstance(domain, Int):
        return tuple(range(domain.low, domain.high + 1, domain.step))
    if isinstance(domain, Real) and math.isfinite(domain.size):
        return tuple(domain.nth(number) for number in range(int(domain.size)))
    if isinstance(domain, Distributed) and math.isfinite(domain.size):
        low, step = domain.ends[0], domain.step or 1
        found = (float(f"{low + number * step:.12g}") for number in range(int(domain.size)))
        return tuple(round(value) if domain.is_whole else value for value in found)
    if isinstance(domain, Fixed):
        return (domain.value,)
    raise DataError(f"{domain} has no end of values; expected Ordinal, Choice, Int or a step")


def meets(when: Condition | None, value: Any) -> bool:
    """Whether the parent's value is one under which the child is in force."""
    if when is None:
        return True
    wanted = when[1] if isinstance(when[1], tuple) else (when[1],)
    return any(_same(one, value) for one in wanted) or _same(when[1], value)  # a choice may itself be a tuple


def domain_of(name: str, domain: Any) -> Domain:
    """A domain of its plain form; a bare value is fixed. Raises `DataError` naming what is wrong."""
    if isinstance(domain, Domain):
        return domain
    if not isinstance(domain, Mapping):
        if isinstance(domain, list | tuple):
            raise DataError(f"{name} is {domain!r}; expected Choice({list(domain)}) or Ordinal({list(domain)})")
        return Fixed(domain)
    kind = domain.get("type")
    if kind not in KINDS:
        raise DataError(f"{name} has the type {kind!r}{did_you_mean(str(kind), KINDS)}")
    when = _condition(name, domain.get("if", domain.get("when")))
    try:
        if kind == "fixed":
            return Fixed(domain["value"], when=when)
        if kind == "ord":
            return Ordinal(domain["choices"], when=when)
        if kind == "cat":
            return Choice(domain["choices"], when=when)
        if kind == "dist":
            pairs = tuple(domain.get("kwds", {}).items())
            return Distributed(domain["name"], tuple(domain.get("args", ())), pairs, when, domain.get("step"))
        ends, log, step = (domain["low"], domain["high"]), bool(domain.get("log", False)), domain.get("step")
        return Real(*ends, log, when, step) if kind == "float" else Int(*ends, log, when, 1 if step is None else step)
    except KeyError as missing:
        raise DataError(f"{name} is of type {kind!r} and has no {missing}; it came as {dict(domain)}") from None


def _condition(name: str, given: Any) -> Condition | None:
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        raise DataError(f"the condition of {name} is {given!r}; expected (parent, value)")
    parent, value = given
    return str(parent), tuple(value) if isinstance(value, list) else value


def _in_order(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """Parents before children, else as given. Raises `DataError` for unknown parents and circles."""
    for name, domain in domains.items():
        if domain.when is None:
            continue
        parent, wanted = domain.when
        if parent not in domains:
            raise DataError(f"{name} depends on {parent!r}, which the space has not{did_you_mean(parent, domains)}")
        whole = not isinstance(wanted, tuple) or domains[parent].holds(wanted)
        for value in (wanted,) if whole else wanted:
            if not domains[parent].holds(value):
                raise DataError(f"{name} depends on {parent} = {value!r}, which {parent} never is: {domains[parent]}")
    ordered: dict[str, Domain] = {}
    waiting = dict(domains)
    while waiting:
        ready = [name for name, one in waiting.items() if one.when is None or one.when[0] in ordered]
        if not ready:
            raise DataError(f"{', '.join(sorted(waiting))} depend on each other in a circle")
        for name in domains:
            if name in ready:
                ordered[name] = waiting.pop(name)
    return ordered
