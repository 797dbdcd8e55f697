"""The catalogue of audits."""

from collections.abc import Callable

from tunesmith.doctor.audits.material import Material
from tunesmith.records.catalog import Catalog
from tunesmith.records.check import Check, Look, check_of

AUDITS: Catalog[Check[Material]] = Catalog("audit")


def audit(name: str, *, faults: tuple[str, ...], cost: int) -> Callable[[Look[Material]], Look[Material]]:
    """Decorator: `@audit("constant_columns", faults=("data.constant",), cost=CHEAP)`."""
    return check_of(AUDITS, name, faults=faults, cost=cost)
