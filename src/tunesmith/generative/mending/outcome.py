"""What the mending of a collapse gives: the changed task, every change with its evidence, and what was tried in vain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from tunesmith.generative.mending.proof import Pairs
from tunesmith.records import Evidence, Findings, Recipe
from tunesmith.records.messages import render

SOURCE = "paired trainings from the same seeds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One change that was tried on twins, beside twins without it."""

    change: str  # in words
    remedy: str  # its name in the catalogue
    fields: Mapping[str, Any] = field(default_factory=dict)  # of the task
    recipe: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()  # the same in Python
    pairs: Pairs
    updates: int  # of each twin
    kept: bool = False
    why: str  # id of the template that says what came of it

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Each mark with the change beside that without it, seed by seed."""
        if self.pairs.broke:
            return ()
        return tuple(
            Evidence(
                name=mark.name, value=mark.value, threshold=one.mark(mark.name).value, source=SOURCE, where=self.change
            )
            for one, other in zip(self.pairs.before, self.pairs.after, strict=True)
            for mark in other.marks
        )

    @property
    def because(self) -> str:
        """One sentence with numbers, in English."""
        return self.text("en")

    def text(self, language: str = "en") -> str:
        """One sentence with numbers, in `language` (`en`, `zh`)."""
        values = {
            "what": render(f"mending.{self.remedy}", {}, language),
            "change": self.change,
            "seeds": len(self.pairs.after),
            "updates": self.updates,
            "broke": self.pairs.broke,
            "lost": ", ".join(render(f"word.{one}", {}, language) for one in self.pairs.lost()),
            "figures": "; ".join(self._figures(language)),
            "times": self.times,
        }
        return render(self.why, values, language)

    def _figures(self, language: str) -> list[str]:
        if self.pairs.broke:
            return []
        found = []
        for name in [one.name for one in self.pairs.after[0].marks]:
            before, after = (
                mean(one.mark(name).value for one in part) for part in (self.pairs.before, self.pairs.after)
            )
            values = {"name": render(f"word.{name}", {}, language), "before": before, "after": after}
            found.append(render("mending.figure", values | {"noise": self.pairs.noise(name)}, language))
        return found

    @property
    def times(self) -> float:
        """Seconds with the change over those without it."""
        before, after = (sum(one.seconds for one in part) for part in (self.pairs.before, self.pairs.after))
        return after / before if before > 0 else math.nan

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Plain data for JSON."""
        marks = {} if self.pairs.broke else {one.name: self._by_seed(one.name) for one in self.pairs.after[0].marks}
        return {
            "change": self.change,
            "remedy": self.remedy,
            "fields": {name: told_of(value) for name, value in self.fields.items()},
            "recipe": dict(self.recipe),
            "lines": list(self.lines),
            "marks": marks,
            "updates": self.updates,
            "times": self.times,
            "kept": self.kept,
            "because": self.text(language),
        }

    def _by_seed(self, name: str) -> dict[str, Any]:
        before, after = ([one.mark(name).value for one in part] for part in (self.pairs.before, self.pairs.after))
        return {"before": before, "after": after, "noise": self.pairs.noise(name)}


@dataclass(slots=True, kw_only=True)
class Mended:
    """What comes back: `task` and `recipe` are changed copies, ready to be trained; what was brought is as it was."""

    task: Any
    recipe: Recipe
    changes: list[Attempt] = field(default_factory=list)
    tried: list[Attempt] = field(default_factory=list)  # in vain, or less good than what was kept
    unfit: dict[str, str] = field(default_factory=dict)  # remedies that are not possible here, and why
    findings: Findings = field(default_factory=Findings)  # of what was brought
    left: Findings = field(default_factory=Findings)  # of what is returned
    measure: str = ""  # the goal that was won by most; before anything is, the first
    before: float = math.nan  # of what was brought, mean over the seeds it was trained with
    after: float = math.nan  # the same of what is returned
    seeds: int = 0  # of `after`
    spent: float = 0.0  # passes over the rows that twins made
    seconds: float = 0.0
    notices: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything was changed."""
        return bool(self.changes)

    @property
    def change(self) -> dict[str, Any]:
        """The changes of the recipe, by path."""
        return {path: value for each in self.changes for path, value in each.recipe.items()}

    @property
    def lines(self) -> list[str]:
        """The changes as lines of Python to make in the program."""
        return [line for each in self.changes for line in (f"# {each.change}", *each.lines)]

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "changes": [each.as_dict(language) for each in self.changes],
            "tried": [each.as_dict(language) for each in self.tried],
            "unfit": dict(self.unfit),
            "before": self.before,
            "after": self.after,
            "measure": self.measure,
            "seeds": self.seeds,
            "lines": self.lines,
            "recipe": self.change,
            "findings": [each.as_dict(language) for each in self.findings],
            "left": [each.as_dict(language) for each in self.left],
            "unreached": list(self.findings.unreached),
            "spent": self.spent,
            "seconds": self.seconds,
            "notices": self.notices,
        }


def told_of(value: Any) -> Any:
    """A field of a task as plain data: of what is no number or word, its name."""
    plain = value is None or isinstance(value, str | int | float | bool)
    return value if plain else getattr(value, "__qualname__", type(value).__name__)
