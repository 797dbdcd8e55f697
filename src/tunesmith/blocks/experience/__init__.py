"""Rules of thumb as data: starts and ranges for the search, bounds for lint, text and source for `explain`.

All stand in `rules.toml`, one table a rule. A number of it is written nowhere else in the code; where a room may not read
this one, a test compares. A user's own file of the same form goes on top and wins: `TUNESMITH_EXPERIENCE`, `using`,
`load_experience`.

>>> round(start("optim.lr", optimizer="sgd", batch_norm=True), 3), prior("optim.lr", model="mlp").high
(0.1, 0.01)
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.blocks.experience.context import KEYS, KINDS, kind_of, optimizer_of
from tunesmith.blocks.experience.experience import (
    ENVIRONMENT,
    Experience,
    Prior,
    current,
    load_experience,
    using,
)
from tunesmith.blocks.experience.lint import Note, lint, lint_schedule
from tunesmith.blocks.experience.rule import Bound, Contradiction, Factor, Rule, Start
from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.blocks.experience.pages import contradictions_page, overview, rule_page, rules_of_path

__all__ = [
    "ENVIRONMENT",
    "KEYS",
    "KINDS",
    "RULES",
    "Bound",
    "Contradiction",
    "Experience",
    "Factor",
    "Note",
    "Prior",
    "Rule",
    "Start",
    "bounds",
    "contradictions_page",
    "current",
    "find",
    "kind_of",
    "lint",
    "lint_schedule",
    "load_experience",
    "number",
    "optimizer_of",
    "overview",
    "prior",
    "rule_page",
    "rules_for",
    "rules_of_path",
    "start",
    "using",
]

LATE = dict.fromkeys(
    ("contradictions_page", "overview", "rule_page", "rules_of_path"), "pages"
)  # no training needs them
__getattr__ = late(__name__, LATE)


class _InForce(Mapping[str, Rule]):
    """The rules in force by id, read when they are first asked for."""

    def __getitem__(self, id: str) -> Rule:
        return current()[id]

    def __iter__(self) -> Iterator[str]:
        return iter(current())

    def __len__(self) -> int:
        return len(current())

    def __contains__(self, id: object) -> bool:
        return id in current()


RULES: Mapping[str, Rule] = _InForce()


def prior(path: str, **context: Any) -> Prior:
    """Start and range of a recipe path or quantity, by the rule that fits most closely what is known.

    `context` holds what is known of the training, by the names in `KEYS`: model (one of `KINDS`), optimizer, device, rows,
    batch, momentum, batch_norm, pretrained, length, layers … A rule whose condition asks for what is not known does not
    apply. An optimizer nobody named is adamw. Raises `UnknownName` where no rule fits, or for an unknown key.

    >>> prior("optim.lr", model="lora").id, prior("optim.lr", model="lora").start
    ('lr.lora', 0.0002)
    """
    return current().prior(path, **context)


def find(path: str, **context: Any) -> Prior | None:
    """As `prior`, None where no rule fits."""
    return current().find(path, **context)


def start(path: str, **context: Any) -> Any:
    """The start of `prior` alone.

    >>> start("train.batch_size", rows=5000)
    32
    """
    return current().start(path, **context)


def bounds(path: str, **context: Any) -> tuple[Bound, ...]:
    """The bounds that lint holds a value of a path against.

    >>> [(one.below, one.above) for one in bounds("optim.lr", optimizer="adamw")]
    [(1e-07, 0.03)]
    """
    return tuple(bound for _, bound in current().bounds(path, **context))


def number(id: str, name: str) -> Any:
    """A number of a rule that no recipe field has.

    >>> number("search.space", "trials")
    59
    """
    return current().number(id, name)


def rules_for(path: str) -> tuple[Rule, ...]:
    """The rules that concern a path, those with a start first.

    >>> [rule.id for rule in rules_for("optim.eps")]
    ['adam.eps', 'lr.adaptive']
    """
    return current().rules_for(path)
