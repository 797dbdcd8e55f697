"""A space as scikit-learn's searches take it (lists, frozen distributions, several dicts), read as a `Space`, with the way to and fro.

`{"C": loguniform(1e-2, 1e3), "kernel": ["rbf", "linear"]}` becomes a `Real` and a `Choice`. Of several dicts one is drawn first: the
space has a parameter `part`, and under each of its values the parameters of that dict, called `0:C`, `1:C`, … Values that are no plain
data, such as estimators, are known by their `repr`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.records import DataError
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Condition, Domain, Int, Ordinal, Real, _same
from tunesmith.search.space import Config, Space, domain_of

PART = "part"
LONGEST = 60  # letters of a value's name
Labels = Mapping[
    str, tuple[Any, ...]
]  # of a name whose values are no plain data: the values, in the order of the choices


@dataclass(frozen=True)
class Asked:
    """`space`: what is searched. `native`: the dicts as scikit-learn's own grid and sampler take them, if they can."""

    space: Space
    native: tuple[Mapping[str, Any], ...] | None
    objects: Labels
    parts: int

    def params(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The estimator's parameters of a configuration."""
        found = {}
        for name, value in config.items():
            if self.parts > 1 and name == PART:
                continue
            domain = self.space[name]
            real = (
                self.objects[name][domain.index(value)]
                if name in self.objects and isinstance(domain, Choice)
                else value
            )
            found[name if self.parts == 1 else name.split(":", 1)[1]] = real
        return found

    def config(self, params: Mapping[str, Any]) -> Config:
        """The configuration of parameters that came from the native form. Raises `DataError` where no dict has these names."""
        for part in range(self.parts):
            config = self._as_part(part, params)
            if config is not None:
                return config
        raise DataError(f"the parameters {dict(params)} belong to none of the dicts of the space")

    def _as_part(self, part: int, params: Mapping[str, Any]) -> Config | None:
        prefix = "" if self.parts == 1 else f"{part}:"
        names = {name for name in self.space if name.startswith(prefix) and not (self.parts > 1 and name == PART)}
        if names != {prefix + name for name in params}:
            return None
        config: Config = {} if self.parts == 1 else {PART: part}
        for name, value in params.items():
            domain, known = self.space[prefix + name], self.objects.get(prefix + name)
            if isinstance(domain, Choice | Ordinal):
                values = domain.choices if known is None else known
                place = next((i for i, one in enumerate(values) if _alike(one, value)), None)
                if place is None:
                    return None
                config[prefix + name] = domain.choices[place]
            else:
                config[prefix + name] = value.item() if isinstance(value, np.generic) else value
        return config


def read_space(given: Any) -> Asked:
    """A `Space`, a mapping of domains, or what `GridSearchCV` and `RandomizedSearchCV` take. Raises `DataError` for anything else.

    >>> asked = read_space([{"kernel": ["linear"], "C": [1, 10]}, {"kernel": ["rbf"], "gamma": [0.1, 0.2, 0.5]}])
    >>> list(asked.space), asked.params({"part": 1, "1:kernel": "rbf", "1:gamma": 0.2})
    (['part', '0:kernel', '0:C', '1:kernel', '1:gamma'], {'kernel': 'rbf', 'gamma': 0.2})
    """
    if isinstance(given, Space):
        return Asked(given, None, {}, 1)
    parts = [given] if isinstance(given, Mapping) else given
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not all(isinstance(one, Mapping) for one in parts):
        raise DataError(
            f"a space came as {type(given).__name__}; expected a mapping of names to domains, lists or distributions, or a list of those"
        )
    if not parts:
        raise DataError("the space is an empty list; expected one mapping at least")
    domains: dict[str, Any] = {} if len(parts) == 1 else {PART: Choice(list(range(len(parts))))}
    objects: dict[str, tuple[Any, ...]] = {}
    for number, part in enumerate(parts):
        for name, value in part.items():
            known = str(name) if len(parts) == 1 else f"{number}:{name}"
            domains[known] = _domain(known, value, None if len(parts) == 1 else (PART, number), objects)
    native = all(_is_listed(value) or hasattr(value, "rvs") for part in parts for value in part.values())
    return Asked(Space(domains), tuple(parts) if native else None, objects, len(parts))


def _is_listed(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray | range) or (
        isinstance(value, Sequence) and not isinstance(value, str | bytes)
    )


def _domain(name: str, value: Any, when: Condition | None, objects: dict[str, tuple[Any, ...]]) -> Domain:
    if _is_listed(value):
        return _listed(name, list(value), when, objects)
    if hasattr(value, "rvs"):
        return _drawn(name, value, when)
    if when is not None and isinstance(value, Domain):
        if value.when is not None:
            raise DataError(f"{name} has a condition and stands in one of several dicts; put all into one Space")
        return domain_of(name, value.to_json() | {"if": when})
    return domain_of(name, value)


def _listed(name: str, values: list[Any], when: Condition | None, objects: dict[str, tuple[Any, ...]]) -> Domain:
    if not values:
        raise DataError(f"{name} is an empty list; expected one value at least")
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    if all(_is_plain(value) for value in plain):
        kept = _once(plain)
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in kept)
        if numbers and len(kept) > 2 and all(map(math.isfinite, kept)):
            return Ordinal(sorted(kept), when=when)
        return Choice(kept, when=when)
    labels: list[str] = []
    for value in plain:
        label = " ".join(repr(value).split())[:LONGEST]
        labels.append(label if label not in labels else f"{label} ({labels.count(label) + 1}, {len(labels)})")
    objects[name] = tuple(plain)
    return Choice(labels, when=when)


def _once(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not any(_same(value, other) for other in kept):
            kept.append(value)
    return kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _alike(one: Any, other: Any) -> bool:
    """Whether two values of a list are the same; arrays are so where all their numbers are."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return _is_plain(one) and _same(one, other.item() if isinstance(other, np.generic) else other)


def _drawn(name: str, distribution: Any, when: Condition | None) -> Domain:
    """Of a frozen distribution of SciPy."""
    family = getattr(getattr(distribution, "dist", None), "name", None)
    if family is None:
        raise DataError(
            f"{name} is {distribution!r}, which draws values but is no frozen distribution of SciPy; expected such as loguniform(1e-3, 1)"
        )
    low, high = (float(end) for end in distribution.support())
    moved = len(distribution.args) > 2 or distribution.kwds.get("loc", 0) != 0
    if family == "uniform":
        return Real(low, high, when=when)
    if family in ("loguniform", "reciprocal") and not moved:
        return Real(low, high, log=True, when=when)
    if family == "randint" and high > low:
        return Int(int(low), int(high), when=when)
    return Distributed(family, tuple(distribution.args), tuple(distribution.kwds.items()), when)
