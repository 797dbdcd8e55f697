"""The catalogue of rules: from the history of a run to findings. One file a fault; its docstring is the manual page."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tunesmith.records import Finding
from tunesmith.records.catalog import Catalog
from tunesmith.runs.history import History

Look = Callable[[History], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One member. `needs` lists quantities, one of which must be in the history; without them the rule cannot tell."""

    fault: str  # an id of the fault list, and the name of the file with dots as underscores
    needs: tuple[str, ...]
    look: Look


RULES: Catalog[Rule] = Catalog("rule")


def rule(
    fault: str, *, needs: tuple[str, ...]
) -> Callable[[Callable[[History], Iterator[Finding]]], Callable[[History], Iterator[Finding]]]:
    """Decorator: `@rule("loss.spike", needs=("loss",))`."""

    def put(look: Callable[[History], Iterator[Finding]]) -> Callable[[History], Iterator[Finding]]:
        RULES.add(fault)(Rule(fault, needs, look))
        return look

    return put
