"""What is trained on its own output: how it is fitted, what real data are, and what is measured of a generation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from tunesmith.generative.recursion_real import Regime

Array: TypeAlias = np.ndarray[Any, Any]


class Model(Protocol):
    """A fitted generation."""

    def sample(self, n: int, seed: int) -> Any:
        """n rows (or letters) of its own, in the form of the data."""


Fit: TypeAlias = Callable[[Any, int], Model]
Measure: TypeAlias = Callable[[Any, int], Mapping[str, float | Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the generations follow each other."""

    regime: Regime
    generations: int
    n: int  # rows that each generation adds
    share: float = 0.5  # of them that are real, in the regime "mix"


def joined(parts: Sequence[Any]) -> Any:
    """Texts, or arrays row by row, one after the other."""
    if all(isinstance(part, str) for part in parts):
        return "".join(parts)
    return np.concatenate([np.asarray(part) for part in parts])


def _none(plan: Plan) -> Mapping[str, Array]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model with its real data. `fit`, `real` and `measure` are all that a model of your own needs.

    Every function gets a seed and is to be the same for the same seed. `measure` returns numbers by name, or arrays with one
    number a replicate from a subject that was made for `many`.
    """

    name: str
    fit: Fit  # (data, seed) -> model
    real: Callable[[int, int], Any]  # (n, seed) -> n rows of real data
    measure: Measure  # (model, seed) -> numbers by name
    join: Callable[[Sequence[Any]], Any] = joined
    expected: Callable[[Plan], Mapping[str, Array]] = _none  # closed forms by measure, one number a generation
    many: "Callable[[int], Subject] | None" = None  # the same for so many replicates at once, as arrays
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain, for the record
