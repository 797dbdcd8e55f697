"""The catalogue of checks before a run."""

from collections.abc import Callable

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.records.catalog import Catalog
from tunesmith.records.check import Check, Look, check_of

CHECKS: Catalog[Check[Bench]] = Catalog("check")


def check(name: str, *, faults: tuple[str, ...], cost: int) -> Callable[[Look[Bench]], Look[Bench]]:
    """Decorator: `@check("batch_leak", faults=("model.batch_leak",), cost=CHEAP)`."""
    return check_of(CHECKS, name, faults=faults, cost=cost)
