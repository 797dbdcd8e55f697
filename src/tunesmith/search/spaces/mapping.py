"""mapping: dicts of parameters by name, each in any form that has a reader.

Reads   our domains and plain forms as they are; lists, tuples and arrays as choices, as scikit-learn does; distributions of SciPy and
        Optuna; expressions of Hyperopt; any other value is fixed. `{"parameters": …, "constraints": …}` is what `Space.to_json` wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.records.plain import plain
from tunesmith.search.domains import Choice, Domain
from tunesmith.search.space import Space, domain_of
from tunesmith.search.spaces import SOURCES, is_of
from tunesmith.search.spaces import hyperopt as hyperopt_
from tunesmith.search.spaces import optuna as optuna_
from tunesmith.search.spaces import scipy as scipy_


@SOURCES.add("mapping")
def mapping(given: Any) -> Space | None:
    """The space of a dict. Raises `DataError` for a value that cannot be read."""
    if not isinstance(given, Mapping) or is_of(given, "ConfigSpace"):
        return None
    if set(given) == {"parameters", "constraints"} and isinstance(given["parameters"], Mapping):
        return Space.from_json(given)
    domains: dict[str, Domain] = {}
    for name, value in given.items():
        domains |= _read(str(name), value)
    return Space(domains)


def _read(name: str, value: Any) -> dict[str, Domain]:
    if hyperopt_.is_expression(value):
        return hyperopt_.domains_from(value, name)
    if optuna_.is_distribution(value):
        return {name: optuna_.domain_from(value)}
    if scipy_.is_frozen(value):
        return {name: scipy_.domain_from(value)}
    if is_of(value, "numpy") and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return {name: Choice([plain(one) if is_of(one, "numpy") else one for one in value])}
    return {name: domain_of(name, value)}
