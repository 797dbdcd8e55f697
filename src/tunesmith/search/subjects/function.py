"""A function of a configuration: it returns a score, or yields one a budget unit.

    def f(config): …                     # one unit, the whole training: returns a score, or a record {"score": …}
    def f(config, budget): …             # trains so many units: returns the last score, or a list of one a unit
    def f(config):                       # a generator is kept alive, so that going on costs nothing
        for epoch in count():
            …
            yield score

Lower is better. Parameters called `seed`, `folder` and `start` are given what they say. A generator that was lost with its process is
run again from its beginning; the units it had done are not counted twice.

What a trial draws from the global random numbers of `random`, NumPy and torch begins at its seed and is its own, whichever trials are trained
in between and in which process (torch has to be loaded before the first trial, as by an import at the top of the file). So is whether torch
keeps track of gradients: a generator that yields inside `torch.no_grad()` leaves the others theirs.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.records import DataError
from tunesmith.search.subject import Record, TrainsFromScratch, record_of
from tunesmith.search.subjects.surroundings import Surroundings

ALIVE = 64  # generators that are kept at most; assumption: each may hold a small model
OFFERED = ("seed", "folder", "start")

Alive = tuple[int, Iterator[Any]]  # units done, and the generator


class Function(TrainsFromScratch):
    """The subject of a function. Raises `DataError` for one that takes no configuration, or more than can be given."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = getattr(function, "__qualname__", type(function).__qualname__)
        self.budget, self.offered = _parameters(function, self.name)
        self.wants_folder = "folder" in self.offered
        self._alive: OrderedDict[Any, Alive] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_alive": OrderedDict()}

    def train(
        self,
        config: Mapping[str, Any],
        *,
        start: int,
        upto: int,
        folder: Path | None,
        seed: int,
        copy_from: Path | None,
    ) -> Iterator[Record | None]:
        if copy_from is not None:
            raise DataError(
                f"{self.name} is a function and cannot take over another trial's weights; use another budget"
            )
        key = (seed, repr(sorted(config.items())))
        done, generator = self._alive.pop(key, (0, None))
        if generator is None or done > start:
            done, generator = 0, None
            offered = {"seed": seed, "folder": folder, "start": start}
            told = {name: value for name, value in offered.items() if name in self.offered}
            surroundings = Surroundings(seed)
            with surroundings:
                value = self.function(dict(config), **({self.budget: upto} if self.budget else {}), **told)
            if not isinstance(value, Iterator):
                yield from self._returned(value, start, upto)
                return
            generator = _in(surroundings, value)
        for value in generator:
            done += 1
            if done == upto:
                self._keep(key, (done, generator))
            yield record_of(value, self.name) if done > start else None
            if done == upto:
                return

    def _returned(self, value: Any, start: int, upto: int) -> Iterator[Record]:
        if isinstance(value, Sequence) and not isinstance(value, str):
            if len(value) < upto:
                raise DataError(
                    f"{self.name} returned {len(value)} scores of {upto} units; expected one a unit, or the last alone"
                )
            yield from (record_of(one, self.name) for one in value[start:upto])
            return
        record = record_of(value, self.name)
        if not self.budget and upto - start > 1:
            raise DataError(
                f"{self.name} returned one score, and {upto - start} units were to be trained; make it a generator that yields a "
                "score a unit, or a function of (config, budget)"
            )
        for _ in range(start, upto):
            yield dict(record)  # the units before the last have no score of their own

    def _keep(self, key: Any, alive: Alive) -> None:
        self._alive[key] = alive
        while len(self._alive) > ALIVE:
            self._alive.popitem(last=False)


def _in(surroundings: Surroundings, generator: Iterator[Any]) -> Iterator[Any]:
    """The same values, each made in these surroundings."""
    while True:
        with surroundings:
            try:
                value = next(generator)
            except StopIteration:
                return
        yield value


def _parameters(function: Callable[..., Any], name: str) -> tuple[str, frozenset[str]]:
    """The name of the parameter that takes the budget ("" for none), and which of the others are offered something."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some builtins tell nothing of themselves
        return "", frozenset()
    usual = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in (*usual, inspect.Parameter.VAR_POSITIONAL):
        raise DataError(f"{name} takes no configuration; expected a function of one argument, a dict")
    named = [one for one in parameters[1:] if one.kind in (usual[1], inspect.Parameter.KEYWORD_ONLY)]
    offered = frozenset(one.name for one in named if one.name in OFFERED)
    budget = next((one.name for one in named if one.name == "budget"), "")
    left = [one.name for one in named if one.default is one.empty and one.name not in (*OFFERED, budget)]
    if not budget and left:
        budget = left.pop(0)
    if left:
        raise DataError(
            f"{name} also takes {', '.join(left)}; expected (config) or (config, budget), and any of {', '.join(OFFERED)}"
        )
    return budget, offered
