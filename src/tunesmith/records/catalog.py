"""A catalogue: the members of one family by name. A new file in the room's folder is a new member."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from tunesmith.records.errors import UnknownName, did_you_mean

Member = TypeVar("Member")


class Catalog(Mapping[str, Member], Generic[Member]):
    """Members of one family by name, in alphabetical order.

    >>> shapes: Catalog[type] = Catalog("shape")
    >>> @shapes.add("round")
    ... class Round: ...
    >>> list(shapes)
    ['round']
    >>> shapes["rund"]
    Traceback (most recent call last):
    tunesmith.records.errors.UnknownName: no shape called 'rund'; did you mean 'round'?
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, Member] = {}
        self._unread: tuple[list[str], str] | None = None

    def add(self, name: str) -> Callable[[Member], Member]:
        """Decorator: puts a member into the catalogue under `name`."""

        def put(member: Member) -> Member:
            if name in self._members and self._members[name] is not member:
                raise ValueError(f"the {self.kind} catalogue already has a member called {name!r}")
            self._members[name] = member
            return member

        return put

    def load(self, path: Iterable[str], package: str) -> None:
        """Reads every module of the room's folder, on first use: `CATALOG.load(__path__, __name__)`."""
        self._unread = (list(path), package)

    def _read(self) -> None:
        if self._unread is None:
            return
        path, package = unread = self._unread
        self._unread = None  # a member may look into its own catalogue while it is read
        try:
            for module in sorted(pkgutil.iter_modules(path), key=lambda found: found.name):
                importlib.import_module(f"{package}.{module.name}")
        except BaseException:
            self._unread = unread  # the next look reads it whole, or says again what is wrong
            raise

    def _look(self, name: str) -> None:
        """Reads the module of that name alone, if it holds the member; else all of them."""
        if name in self._members or self._unread is None:
            return
        path, package = self._unread
        if any(found.name == name for found in pkgutil.iter_modules(path)):
            importlib.import_module(f"{package}.{name}")
        if name not in self._members:
            self._read()

    def __getitem__(self, name: str) -> Member:
        self._look(name)
        if name not in self._members:
            raise UnknownName(f"no {self.kind} called {name!r}{did_you_mean(name, self._members)}")
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self._read()
        return iter(sorted(self._members))

    def __len__(self) -> int:
        self._read()
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._look(name)
        return name in self._members
