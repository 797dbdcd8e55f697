"""Spaces written in a file.

constraints = ["depth * width <= 4096"]

[prior]
"optim.lr" = 1e-3

[optim.lr]
type = "float"
low = 1e-5
high = 1e-2
log = true

[model.depth]
type = "int"
low = 1
high = 4
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.records import DataError
from tunesmith.search.space import Space


def read_space(path: str | Path) -> tuple[Space, dict[str, Any] | None]:
    """The space of a TOML or JSON file, and its prior where it has one. Raises `DataError` for what cannot be read."""
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"the space {place} cannot be read: {error.strerror}; give a .toml or .json file") from None
    try:
        data = _parsed(place, text)
    except ValueError as error:
        raise DataError(f"the space {place} cannot be read: {error}") from None
    constraints, prior = data.pop("constraints", ()), data.pop("prior", None)
    domains = dict(_named(data.pop("parameters", {}))) | dict(_named(data))
    return Space(domains, constraints), None if prior is None else _flat(prior)


def _parsed(place: Path, text: str) -> dict[str, Any]:
    import json

    read = json.loads(text) if place.suffix == ".json" else tomllib.loads(text)
    if not isinstance(read, dict):
        raise ValueError(f"it holds a {type(read).__name__}, expected names with their domains")
    return read


def _named(tables: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Domains by their dotted names: `[optim.lr]` is a table in a table."""
    for name, value in tables.items():
        if isinstance(value, Mapping) and not isinstance(value.get("type"), str):
            yield from _named(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _flat(prior: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in prior.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat
