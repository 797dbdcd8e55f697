"""A study by rounds: what is asked (scientific parameters), what must be tuned for a fair answer (nuisance), what is left alone (fixed).

For each value of the scientific parameters the nuisance ones are searched anew, with the same budget each. The best of each is trained
again with fresh seeds, since the best of a search looks better than it is; the values are told apart only where the difference stands out of
the spread between the seeds.

Source: Godbole et al., Deep Learning Tuning Playbook (2023), "Designing the next round of experiments"; Welch's t-test, Holm's correction.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.records import DataError, Trial, UnknownName, did_you_mean
from tunesmith.search.ask import Search
from tunesmith.search.domains import Domain, Fixed
from tunesmith.search.driver import drive, seed_of
from tunesmith.search.history import History, score_of
from tunesmith.search.space import Config, Space, as_space, meets, values_of
from tunesmith.search.subject import Subject
from tunesmith.search.subjects.function import Function

REPEATS = 5  # seeds; assumption: the fewest that tell a difference of two deviations at 5 %
LEVEL = 0.05


@dataclass(frozen=True)
class Arm:
    """One value of the scientific parameters. `scores`: of the best configuration trained again with fresh seeds."""

    values: Mapping[str, Any]
    config: Mapping[str, Any]
    searched: float  # the score that the search gave it
    scores: tuple[float, ...]
    trials: History

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def deviation(self) -> float:
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan


@dataclass(frozen=True)
class Round:
    """`arms`: best mean first. `chances`: of each arm, that seeds alone made it this much worse than the first (Holm's p; 1 for the first)."""

    arms: tuple[Arm, ...]
    chances: tuple[float, ...]

    @property
    def alike(self) -> tuple[Arm, ...]:
        """The arms that cannot be told from the best."""
        return tuple(arm for arm, chance in zip(self.arms, self.chances, strict=True) if not chance < LEVEL)

    @property
    def because(self) -> str:
        """One sentence."""
        best, others = self.arms[0], len(self.alike) - 1
        said = f"{_named(best.values)} comes to {best.mean:.4g} ± {best.deviation:.2g} over {len(best.scores)} seeds"
        if len(self.arms) == 1:
            return said
        if not others:
            return f"{said}, better than {_named(self.arms[1].values)} with {self.arms[1].mean:.4g} (p = {self.chances[1]:.2g})"
        return f"{said}; {others} of {len(self.arms) - 1} others cannot be told from it"


def rounds(
    subject: Subject | Callable[..., Any],
    space: Space | Mapping[str, Domain],
    scientific: Sequence[str] | Mapping[str, Sequence[Any]],
    max_budget: int = 1,
    *,
    total: int,
    fixed: Mapping[str, Any] | None = None,
    repeats: int = REPEATS,
    sampler: Any = "auto",
    budget: Any = "auto",
    workers: int = 1,
    executor: str = "local",
    seed: int = 0,
) -> Round:
    """Searches once for each value, trains the best of each `repeats` times anew and compares.

    `scientific`: names of parameters with few values, or `{name: values}`; all their combinations are arms. `fixed`: values of parameters
    that are not searched. `total`: budget units of each search. Raises `UnknownName` for names the space has not, `DataError` for ranges
    without values, fewer than 2 repeats, and an arm in which no trial came to its end.
    """
    whole = as_space(space)
    given = dict(fixed or {})
    asked = scientific if isinstance(scientific, Mapping) else dict.fromkeys(scientific)
    for name in (*asked, *given):
        if name not in whole:
            raise UnknownName(f"no parameter called {name!r} in the space{did_you_mean(name, whole)}")
    if not asked:
        raise DataError("no scientific parameter; expected one at least, or a plain search")
    if repeats < 2:
        raise DataError(f"repeats is {repeats}; expected 2 or more, to see what seeds differ by")
    carried: Any = subject if hasattr(subject, "train") else Function(subject)
    values = {name: list(values_of(whole[name]) if some is None else some) for name, some in asked.items()}
    arms = []
    for number, chosen in enumerate(_combinations(whole, values)):
        search = Search(
            narrowed(whole, chosen | given), max_budget, total=total, sampler=sampler, budget=budget, seed=seed + number,
            workers=workers,
        )  # fmt: skip
        drive(search, carried, executor, workers)
        arms.append(_arm(carried, search, chosen, max_budget, repeats))
    arms.sort(key=lambda arm: arm.mean)
    return Round(tuple(arms), tuple(_holm([_chance(arms[0].scores, arm.scores) for arm in arms])))


def _combinations(space: Space, values: Mapping[str, Sequence[Any]]) -> Iterator[Config]:
    """All combinations; of a parameter that is not in force none of its values."""
    seen: list[Config] = []
    for chosen in itertools.product(*values.values()):
        config = dict(zip(values, chosen, strict=True))
        for name, value in config.items():
            if not space[name].holds(value):
                raise DataError(f"{name} is {value!r}; expected a value of {space[name]}")
        kept = {name: config[name] for name in config if _may_stand(space, name, config)}
        if kept not in seen:
            seen.append(kept)
            yield kept


def _may_stand(space: Space, name: str, config: Mapping[str, Any]) -> bool:
    when = space[name].when
    return (
        when is None or when[0] not in config or (meets(when, config[when[0]]) and _may_stand(space, when[0], config))
    )


def narrowed(space: Space, given: Mapping[str, Any]) -> Space:
    """The space with some parameters fixed, and what can then never be in force left out.

    >>> from tunesmith.search import Choice, Real
    >>> space = Space({"name": Choice(["sgd", "adam"]), "momentum": Real(0, 1, when=("name", "sgd"))})
    >>> list(narrowed(space, {"name": "adam"})), list(narrowed(space, {"name": "sgd"}))
    (['name'], ['name', 'momentum'])
    """
    domains: dict[str, Domain] = {}
    for name, domain in space.items():
        if domain.when is not None:
            parent = domains.get(domain.when[0])
            if parent is None or (isinstance(parent, Fixed) and not meets(domain.when, parent.value)):
                continue
            if isinstance(parent, Fixed) and name not in given:
                domains[name] = _always(domain, parent)
                continue
        domains[name] = Fixed(given[name], when=domain.when) if name in given else domain
    return Space(domains, space.constraints)


def _always(domain: Domain, parent: Fixed) -> Domain:
    """The domain under its one parent's value: as it is, where that is one value; else the condition names it alone."""
    from dataclasses import replace

    assert domain.when is not None
    if domain.when[1] == parent.value or not isinstance(domain.when[1], tuple):
        return domain
    changed: Domain = replace(domain, when=(domain.when[0], parent.value))  # type: ignore[type-var]
    return changed


def _arm(subject: Subject, search: Search, chosen: Config, max_budget: int, repeats: int) -> Arm:
    over = [trial for trial in search.trials if trial.state == "done"]
    if not over:
        states = ", ".join(sorted({f"{trial.state} ({trial.reason})" for trial in search.trials}))
        raise DataError(
            f"no trial with {_named(chosen)} came to its end: {states}; give each search more than total = {search.total}"
        )
    best = min(over, key=lambda trial: search.trials.value(trial.id))
    scores = [
        _again(subject, best, max_budget, seed_of(search.seed, len(search.trials) + one)) for one in range(repeats)
    ]
    return Arm(chosen, dict(best.change), search.trials.value(best.id), tuple(scores), search.trials)


def _again(subject: Subject, trial: Trial, max_budget: int, seed: int) -> float:
    """The best score of a whole training with another seed; infinite where it never has one."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="tunesmith-round-") as folder:
        place = Path(folder) if subject.wants_folder else None
        told = subject.train(trial.change, start=0, upto=max_budget, folder=place, seed=seed, copy_from=None)
        scores = [score_of(record) for record in told if record is not None]
    finite = [score for score in scores if math.isfinite(score)]
    return min(finite) if finite else math.inf


def _chance(best: Sequence[float], other: Sequence[float]) -> float:
    """Welch's p, one-sided: that `other` is no worse than `best`."""
    if best is other:
        return 1.0
    if not np.isfinite(other).all():
        return 0.0 if np.isfinite(best).all() else 1.0
    if np.ptp(best) == 0 and np.ptp(other) == 0:  # no noise: any difference is one
        return 0.0 if best[0] < other[0] else 1.0
    from scipy import stats

    return float(stats.ttest_ind(best, other, equal_var=False, alternative="less").pvalue)


def _holm(chances: Sequence[float]) -> list[float]:
    """Holm's correction of all but the first, which stays 1.

    >>> _holm([1.0, 0.01, 0.04, 0.03])
    [1.0, 0.03, 0.06, 0.06]
    """
    order = sorted(range(1, len(chances)), key=lambda place: chances[place])
    found, highest = [1.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, chances[place] * (len(order) - rank)))
        found[place] = highest
    return found


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
