"""What counts as better: marks of twins with and without a change, pair by pair over seeds, against their error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from tunesmith.records import Finding

BEYOND = 2.0  # standard errors; as in the repair of programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One quantity of a twin. A change has to win a `goal`, and may lose none of the marks."""

    name: str  # as in `runs/quantities.py`
    value: float
    error: float  # standard error, of sampling and of how the twin swings
    higher: bool  # is better
    goal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a twin came to."""

    marks: tuple[Mark, ...] = ()
    collapsed: bool = False  # and stands so at its end
    findings: tuple[Finding, ...] = ()
    broke: str = ""  # why it did not reach its end
    passes: float = 0.0  # over the rows
    seconds: float = 0.0

    def mark(self, name: str) -> Mark:
        return next(one for one in self.marks if one.name == name)


@dataclass(slots=True)
class Pairs:
    """Twins without a change and with it, by seed."""

    before: list[Played] = field(default_factory=list)
    after: list[Played] = field(default_factory=list)

    @property
    def broke(self) -> str:
        return next((one.broke for one in (*self.before, *self.after) if one.broke), "")

    def gains(self, name: str) -> list[float]:
        """By seed, how much better a mark is with the change."""
        both = [(one.mark(name), other.mark(name)) for one, other in zip(self.before, self.after, strict=True)]
        return [(other.value - one.value) * (1 if one.higher else -1) for one, other in both]

    def noise(self, name: str) -> float:
        """The standard error of the mean gain: of the marks themselves, or of how the gains differ between seeds, whichever is larger."""
        both = zip(self.before, self.after, strict=True)
        own = [one.mark(name).error ** 2 + other.mark(name).error ** 2 for one, other in both]
        gains = self.gains(name)
        between = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
        return max(math.sqrt(sum(own)) / len(own), between)

    def won(self) -> list[str]:
        """Goals that are better beyond error, and in no pair worse."""
        if self.broke:
            return []
        goals = [one.name for one in self.after[0].marks if one.goal]
        return [one for one in goals if mean(self.gains(one)) > BEYOND * self.noise(one) and min(self.gains(one)) > 0]

    def lost(self) -> list[str]:
        """Marks that are worse beyond error."""
        if self.broke:
            return []
        names = [one.name for one in self.after[0].marks]
        return [one for one in names if mean(self.gains(one)) < -BEYOND * self.noise(one)]

    @property
    def helps(self) -> bool:
        return bool(self.won()) and not self.lost()


def swing(values: Sequence[float]) -> float:
    """The standard error of the mean of looks at one net, 0 of a single one."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def share_error(share: float, draws: float) -> float:
    """The standard error of a share among draws; of none and of all, what one draw would make of it.

    >>> share_error(0.5, 25)
    0.1
    """
    return math.sqrt(max(share * (1 - share), 1 / draws) / draws)
