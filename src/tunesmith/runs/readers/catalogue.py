"""The catalogue of readers, and the choice among them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tunesmith.records import DataError
from tunesmith.records.catalog import Catalog
from tunesmith.runs.history import History
from tunesmith.runs.readers.opening import head_of

Roles: TypeAlias = Mapping[
    str, str
]  # by column: "train loss", "val accuracy", "step", "epoch", "fold", "run", "ignore" …


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of log. `takes(path, head)` looks at the name and the first 64 KiB (unpacked); the first that takes a log reads it."""

    name: str
    order: int  # the most particular kinds are asked first
    takes: Callable[[Path, bytes], bool]
    read: Callable[[Path, Roles], list[History]]


READERS: Catalog[Reader] = Catalog("log reader")


def reader(
    name: str, *, order: int, takes: Callable[[Path, bytes], bool]
) -> Callable[[Callable[[Path, Roles], list[History]]], Callable[[Path, Roles], list[History]]]:
    """Decorator: `@reader("csv", order=50, takes=looks_like_csv)` on `read(path, roles) -> list[History]`."""

    def put(read: Callable[[Path, Roles], list[History]]) -> Callable[[Path, Roles], list[History]]:
        READERS.add(name)(Reader(name, order, takes, read))
        return read

    return put


def read_log(path: str | Path, roles: Roles | None = None) -> list[History]:
    """The runs in a log or folder. `roles` overrules what columns are taken for. Raises `DataError` where nobody can read it."""
    place = Path(path)
    if not place.exists():
        raise DataError(f"no file or folder {place}; give a run folder or a log")
    head = head_of(place)
    for one in sorted(READERS.values(), key=lambda found: (found.order, found.name)):
        if one.takes(place, head):
            return one.read(place, roles or {})
    raise DataError(f"{place} is no log that can be read; there are readers for {', '.join(READERS)}")
