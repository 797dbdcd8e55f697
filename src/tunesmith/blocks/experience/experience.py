"""Rules of thumb as one body: which start, range and bounds they give a path where certain things are known."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.blocks.experience import context, reading
from tunesmith.blocks.experience.rule import Bound, Contradiction, Rule, Start
from tunesmith.records import UnknownName, did_you_mean

ENVIRONMENT = "TUNESMITH_EXPERIENCE"


@dataclass(frozen=True, slots=True)
class Prior:
    """Where to start a setting and where to search for it.

    Without a range `low` and `high` are None; `choices` are all the values there are, where the rule lists them. `log`:
    the range is log-uniform, in 1 - value with `complement`. `why` says in one clause under which condition it holds, and
    from whose file it comes where that is a user's.
    """

    start: Any
    low: float | None
    high: float | None
    log: bool
    id: str
    why: str
    path: str = ""
    choices: tuple[Any, ...] = ()
    complement: bool = False
    multiple: int | None = None
    powers_of_two: bool = False
    origin: str = ""

    @property
    def because(self) -> str:
        """The rule and its reason, as a recipe tells where a value came from: `lr.adam: …`."""
        return f"{self.id}: {self.why}" + (f", from your file {self.origin}" if self.origin else "")


class Experience(Mapping[str, Rule]):
    """Rules by id, in the order of their file; a user's rules replace ours of the same id."""

    def __init__(self, rules: Mapping[str, Rule], contradictions: tuple[Contradiction, ...] = ()) -> None:
        self._rules = dict(rules)
        self.contradictions = contradictions
        for one in contradictions:
            for id in one.rules:
                self[id]

    def __getitem__(self, id: str) -> Rule:
        if id not in self._rules:
            raise UnknownName(f"no rule of thumb called {id!r}{did_you_mean(id, self._rules)}")
        return self._rules[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __contains__(self, id: object) -> bool:
        return id in self._rules

    def over(self, path: str | Path) -> "Experience":
        """This body with the rules of a user's file on top. Raises `RecipeError` for mistakes in it."""
        text = reading.file_text(path)
        rules = {**self._rules, **reading.rules_of(text, str(path), self._rules)}
        return Experience(rules, (*self.contradictions, *reading.contradictions_of(text, str(path))))

    def rules_for(self, path: str) -> tuple[Rule, ...]:
        """The rules that concern a path, those with a start first."""
        found = [rule for rule in self.values() if rule.concerns(path)]
        return tuple(sorted(found, key=lambda rule: not any(one.path == path for one in rule.starts)))

    def paths(self) -> tuple[str, ...]:
        """Every path that a start is given for."""
        return tuple(dict.fromkeys(one.path for rule in self.values() for one in rule.starts))

    def find(self, path: str, **known: Any) -> Prior | None:
        """The start and range of the rule that fits most closely, or None where none fits."""
        told = self.told(known)
        ranked = [
            (points, bool(rule.origin), place, rule, one)
            for place, (rule, one) in enumerate(self._starts(path))
            if (points := context.score({**rule.when, **one.when}, told)) is not None
        ]
        if not ranked:
            return None
        *_, rule, one = max(ranked, key=lambda found: found[:3])
        return self._prior(rule, one, told)

    def prior(self, path: str, **known: Any) -> Prior:
        """As `find`. Raises `UnknownName` where no rule fits, naming what rules there are for the path."""
        found = self.find(path, **known)
        if found is not None:
            return found
        conditions = [context.words({**rule.when, **one.when}) for rule, one in self._starts(path)]
        if not conditions:
            raise UnknownName(f"no rule of thumb gives a start for {path!r}{did_you_mean(path, self.paths())}")
        here = (
            context.words(self.told(known))
            if not known
            else ", ".join(f"{key} {value}" for key, value in known.items())
        )
        raise UnknownName(
            f"no rule of thumb gives {path} for {here or 'what is known'}; there is one for {' | '.join(conditions)}"
        )

    def start(self, path: str, **known: Any) -> Any:
        """The start alone."""
        return self.prior(path, **known).start

    def bounds(self, path: str, **known: Any) -> tuple[tuple[Rule, Bound], ...]:
        """The bounds of a path that hold, each with its rule."""
        told = self.told(known)
        return tuple(
            (rule, one)
            for rule in self.values()
            for one in rule.bounds
            if one.path == path and context.score({**rule.when, **one.when}, told) is not None
        )

    def number(self, id: str, name: str) -> Any:
        """A number of a rule that no recipe field has. Raises `UnknownName` with the nearest."""
        numbers = self[id].numbers
        if name not in numbers:
            raise UnknownName(f"the rule of thumb {id!r} has no number {name!r}{did_you_mean(name, numbers)}")
        return numbers[name]

    def told(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """What is known, checked; an optimizer nobody named is the one that `opt.best` starts with."""
        told = context.checked(known)
        if "optimizer" not in told:
            told["optimizer"] = next(one.start for rule, one in self._starts("optim.name") if not one.when)
        return told

    def _starts(self, path: str) -> Iterator[tuple[Rule, Start]]:
        return ((rule, one) for rule in self.values() for one in rule.starts if one.path == path)

    def _prior(self, rule: Rule, one: Start, told: context.Context) -> Prior:
        start, why = one.start, one.why or rule.about
        if one.per_batch is not None and "batch" in told and not isinstance(start, str):
            start, why = start * told["batch"] / one.per_batch, f"{why}, for a batch of {told['batch']}"
        for other, times in self._factors(one.path, told):
            if not isinstance(start, str):
                start, why = start * times, f"{why}, times {times:.3g} by {other}"
        if start != one.start and one.low is not None and one.high is not None:
            start = min(max(float(f"{start:.12g}"), one.low), one.high)  # 1e-4, not 9.999999999999999e-05
        return Prior(
            start=start,
            low=one.low,
            high=one.high,
            log=one.log,
            id=rule.id,
            why=why,
            path=one.path,
            choices=one.choices,
            complement=one.complement,
            multiple=one.multiple,
            powers_of_two=one.powers_of_two,
            origin=rule.origin if "starts" in rule.own or not rule.own else "",
        )

    def _factors(self, path: str, told: context.Context) -> Iterator[tuple[str, float]]:
        """One factor a rule, however many of its conditions hold."""
        for rule in self.values():
            held = [
                one.times
                for one in rule.factors
                if one.path == path and context.score({**rule.when, **one.when}, told) is not None
            ]
            yield from ((rule.id, times) for times in held[:1])


@cache
def ours() -> Experience:
    """The rules that come with Tunesmith."""
    return Experience(*reading.packaged())


@cache
def _with_file(path: str, changed: int, size: int) -> Experience:
    return ours().over(path)


_CHOSEN: ContextVar[Experience | None] = ContextVar("experience", default=None)


def current() -> Experience:
    """The rules in force: those of `using`, else ours with the file that TUNESMITH_EXPERIENCE names on top."""
    chosen = _CHOSEN.get()
    if chosen is not None:
        return chosen
    path = os.environ.get(ENVIRONMENT)
    if not path:
        return ours()
    try:
        stamp = os.stat(path)
    except OSError:
        return ours().over(path)  # raises, and says what is wrong
    return _with_file(path, stamp.st_mtime_ns, stamp.st_size)


def load_experience(path: str | Path) -> Experience:
    """Our rules with those of a user's file on top.

    The file is written as ours: `[rule."lr.adam"]`, its fields below. A rule of ours keeps the fields that the file
    leaves out; a rule under a new id needs all of them. Raises `RecipeError` with file, line, rule and field.
    """
    return ours().over(path)


@contextmanager
def using(experience: Experience | str | Path) -> Iterator[Experience]:
    """Inside the block these rules are in force; a file goes on top of those that were. Holds for this thread."""
    chosen = experience if isinstance(experience, Experience) else current().over(experience)
    token = _CHOSEN.set(chosen)
    try:
        yield chosen
    finally:
        _CHOSEN.reset(token)
