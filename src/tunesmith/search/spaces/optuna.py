"""optuna: functions that call `trial.suggest_…`, and Optuna's distributions; Optuna itself is not needed.

Reads   `def space(trial)`: it is run against a recorder down every branch of its choices, and of the whole numbers on which it
        depends how many parameters there are. What is asked for in some branches only becomes conditional.
Limits  a parameter may depend on one other; it may not have two ranges; branches on a real number cannot be gone through.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.records import DataError
from tunesmith.search.domains import Choice, Domain, Fixed, Int, Real, _same
from tunesmith.search.space import Space, values_of
from tunesmith.search.spaces import SOURCES, is_of

MOST_RUNS = 5_000  # assumption: branches gone through, a fraction of a second
MOST_VALUES = 64  # assumption: values of a whole number on which the structure may depend


@SOURCES.add("optuna")
def optuna(given: Any) -> Space | None:
    """The space of a function of a trial. Raises `DataError` where it cannot be one of ours."""
    if not inspect.isroutine(given) and not (callable(given) and hasattr(given, "func")):
        return None
    return space_of(given)


def is_distribution(given: Any) -> bool:
    """Whether it is one of Optuna's distributions."""
    return is_of(given, "optuna") and type(given).__name__.endswith("Distribution")


def domain_from(given: Any) -> Domain:
    """The domain of one of Optuna's distributions. Raises `DataError` for kinds that are not known."""
    kind = type(given).__name__
    if kind == "CategoricalDistribution":
        return Choice(list(given.choices))
    if kind in ("FloatDistribution", "IntDistribution"):
        return _range(kind.startswith("Int"), given.low, given.high, given.log, given.step)
    raise DataError(
        f"Optuna's {kind} is not known; expected FloatDistribution, IntDistribution or CategoricalDistribution"
    )


def _range(whole: bool, low: Any, high: Any, log: bool, step: Any) -> Domain:
    if low == high or (step is not None and step > high - low):
        return Fixed(low)
    if whole:
        return Int(low, high, log, step=1 if step is None else step)
    return Real(float(low), float(high), log, step=step)


@dataclass
class Recorder:
    """Stands in for a trial: answers with the value `chosen` for a parameter, or its first, and writes down what was asked."""

    chosen: Mapping[str, Any]
    asked: dict[str, Domain] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    number: int = 0

    def _suggest(self, name: str, domain: Domain) -> Any:
        if name in self.asked:
            if self.asked[name] != domain:
                raise DataError(f"{name} is asked for twice, as {self.asked[name]} and {domain}; give it two names")
            return self.params[name]
        self.asked[name] = domain
        self.params[name] = self.chosen[name] if name in self.chosen else first_of(domain)
        return self.params[name]

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        return self._suggest(name, _range(False, low, high, log, step))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        return self._suggest(name, _range(True, low, high, log, step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._suggest(name, Choice(list(choices)))

    def suggest_uniform(self, name: str, low: float, high: float) -> Any:
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> Any:
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> Any:
        return self.suggest_float(name, low, high, step=q)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Taken, and forgotten."""

    def __getattr__(self, name: str) -> Any:
        raise DataError(
            f"the function of the space asked for trial.{name}; expected suggest_… alone: it trains nothing"
        )


def first_of(domain: Domain) -> Any:
    """The first value of a listed domain; the lower end of a range, so that loops over it are short."""
    return domain.from_unit(0.0)


def _run(function: Callable[[Any], Any], chosen: Mapping[str, Any]) -> Recorder:
    recorder = Recorder(chosen)
    try:
        function(recorder)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"the function of the space failed at {recorder.params}: {type(error).__name__}: {error}"
        ) from error
    if not recorder.asked:
        raise DataError("the function of the space asked for no parameter; expected calls such as trial.suggest_float")
    return recorder


def space_of(function: Callable[[Any], Any]) -> Space:
    """The space of all branches.

    >>> def tree(trial):
    ...     if trial.suggest_categorical("name", ["sgd", "adam"]) == "sgd":
    ...         trial.suggest_float("momentum", 0, 1)
    >>> space_of(tree)["momentum"].when
    ('name', 'sgd')
    """
    branching: set[str] = set()  # numbers that decide what else there is
    while True:
        runs = list(_branches(function, branching))
        more = _deciding(function, runs, branching)
        if not more:
            return Space(_domains(runs, branching))
        branching |= more


def _branches(function: Callable[[Any], Any], branching: set[str]) -> Iterator[Recorder]:
    """One run for every combination of choices that can occur."""
    waiting: list[dict[str, Any]] = [{}]
    count = 0
    while waiting:
        chosen = waiting.pop()
        run = _run(function, chosen)
        count += 1
        if count > MOST_RUNS:
            raise DataError(f"the function of the space has more than {MOST_RUNS} branches; give the space as a dict")
        open_ = [name for name in run.asked if name not in chosen and _branches_on(name, run.asked[name], branching)]
        if not open_:
            yield run
            continue
        name = open_[0]
        waiting += [chosen | {name: value} for value in reversed(values_of(run.asked[name]))]


def _branches_on(name: str, domain: Domain, branching: set[str]) -> bool:
    return isinstance(domain, Choice) or name in branching


def _deciding(function: Callable[[Any], Any], runs: Sequence[Recorder], branching: set[str]) -> set[str]:
    """The whole numbers that change what is asked for. Raises `DataError` where a real number does, or one of too many values."""
    found: set[str] = set()
    looked: set[str] = set()
    for run in runs:
        for name in set(run.asked) - looked:
            domain = run.asked[name]
            looked.add(name)
            if _branches_on(name, domain, branching) or isinstance(domain, Fixed):
                continue
            units = (0.25, 0.5, 0.75, 1.0)
            values = values_of(domain) if domain.size <= MOST_VALUES else [domain.from_unit(unit) for unit in units]
            if all(set(_run(function, run.params | {name: value}).asked) == set(run.asked) for value in values):
                continue
            if domain.size > MOST_VALUES:
                raise DataError(f"what else is asked for depends on {name}, {domain}; expected it to depend on choices")
            found.add(name)
    return found


def _domains(runs: Sequence[Recorder], branching: set[str]) -> dict[str, Domain]:
    """All that was asked for, with the condition that tells when. Raises `DataError` for two ranges and joint conditions."""
    domains: dict[str, Domain] = {}
    for run in runs:
        for name, domain in run.asked.items():
            if domains.setdefault(name, domain) != domain:
                raise DataError(f"{name} is {domains[name]} in one branch and {domain} in another; give it two names")
    return {name: domain.under(_condition(name, runs, domains, branching)) for name, domain in domains.items()}


def _condition(
    name: str, runs: Sequence[Recorder], domains: Mapping[str, Domain], branching: set[str]
) -> tuple[str, Any] | None:
    if all(name in run.asked for run in runs):
        return None
    fitting = []
    for parent in domains:
        if parent == name or not _branches_on(parent, domains[parent], branching):
            continue
        values = [
            value
            for value in values_of(domains[parent])
            if any(name in run.asked and parent in run.asked and _same(run.params[parent], value) for run in runs)
        ]
        told = [parent in run.asked and any(_same(run.params[parent], value) for value in values) for run in runs]
        if told == [name in run.asked for run in runs]:
            fitting.append((parent, values))
    if not fitting:
        raise DataError(f"{name} is asked for under more than one condition; expected it to depend on one choice")
    parent, values = fitting[0]
    return parent, values[0] if len(values) == 1 else tuple(values)
