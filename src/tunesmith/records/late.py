"""Names of a package that are read when they are first asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: each name is found in the module below it that `modules` tells.

    >>> late("json", {"JSONDecodeError": "decoder"})("JSONDecodeError").__module__
    'json.decoder'
    """

    def found(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return found
