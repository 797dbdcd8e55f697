"""What a repair gives: the mended copy, every change with its evidence, and what was tried in vain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunesmith.records import Evidence, Findings, Program, Recipe, Safety, Task
from tunesmith.records.messages import render

SOURCE = "paired trainings with the same rows in the same order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One change that was tried on a copy. Scores are of the trial, as `measure` says; higher is better."""

    change: str  # in words
    surgery: str  # its name in the catalogue
    fault: str = ""  # that it undoes
    safety: Safety = Safety.RISKY
    recipe: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()  # the same in Python
    measure: str = "validation_score"
    before: tuple[float, ...] = ()  # without it, by order of the rows
    after: tuple[float, ...] = ()  # with it, in the same orders
    noise: float = math.nan  # standard error of a score, or what another order makes of it
    steps: int = 0  # updates of the trial
    kept: bool = False
    why: str = "repair.vain"  # id of the template that says what came of it
    anew: bool = True  # whether the training begins anew after it

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The score with the change beside that without it, in each order of the rows."""
        pairs = zip(self.before, self.after, strict=True)
        return tuple(
            Evidence(name=self.measure, value=with_it, threshold=without, source=SOURCE, where=self.change)
            for without, with_it in pairs
        )

    @property
    def because(self) -> str:
        """One sentence with numbers, in English."""
        return self.text("en")

    def text(self, language: str = "en") -> str:
        """One sentence with numbers, in `language` (`en`, `zh`)."""
        values = {
            "change": self.change,
            "what": render(f"surgery.{self.surgery}", {}, language),
            "measure": render(f"word.{self.measure}", {}, language),
            "before": self.before[0] if self.before else math.nan,
            "after": self.after[0] if self.after else math.nan,
            "noise": self.noise,
            "steps": self.steps,
        }
        return render(self.why, values, language)

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "change": self.change,
            "surgery": self.surgery,
            "fault": self.fault,
            "safety": str(self.safety),
            "recipe": dict(self.recipe),
            "lines": list(self.lines),
            "measure": self.measure,
            "before": list(self.before),
            "after": list(self.after),
            "noise": self.noise,
            "steps": self.steps,
            "because": self.text(language),
        }


@dataclass(slots=True, kw_only=True)
class Repair:
    """What came of a repair.

    `program` is a mended copy with live objects, ready to be trained (what was brought is left as it was); of a task `task` and
    `recipe` stand in its place. `before` and `after` are scores of whole trainings, of `measure`; `findings` what was found in what
    was brought, `left` what is found in what is returned. `spent` counts the epochs that twins trained for the remedies.
    """

    program: Program | None = None
    task: Task | None = None
    recipe: Recipe | None = None
    changes: list[Attempt] = field(default_factory=list)
    tried: list[Attempt] = field(default_factory=list)  # in vain
    findings: Findings = field(default_factory=Findings)
    left: Findings = field(default_factory=Findings)
    before: float = math.nan
    after: float = math.nan
    measure: str = "validation_score"
    chance: float = math.nan  # the score of the best constant answer
    learns: bool = False  # better than whoever does not see the inputs, beyond noise
    restart_from: Literal["beginning", "checkpoint"] = "beginning"
    spent: float = 0.0
    seconds: float = 0.0
    notices: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything was changed."""
        return bool(self.changes)

    @property
    def lines(self) -> list[str]:
        """The changes as lines of Python to make in the program."""
        return [line for each in self.changes for line in (f"# {each.change}", *each.lines)]

    @property
    def change(self) -> dict[str, Any]:
        """The changes of the recipe, by path."""
        return {path: value for each in self.changes for path, value in each.recipe.items()}

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "changes": [each.as_dict(language) for each in self.changes],
            "tried": [each.as_dict(language) for each in self.tried],
            "before": self.before,
            "after": self.after,
            "measure": self.measure,
            "chance": self.chance,
            "learns": self.learns,
            "restart_from": self.restart_from,
            "lines": self.lines,
            "recipe": self.change,
            "findings": [each.as_dict(language) for each in self.findings],
            "left": [each.as_dict(language) for each in self.left],
            "spent": self.spent,
            "seconds": self.seconds,
            "notices": self.notices,
        }
