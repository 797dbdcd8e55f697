"""Values in Python's own types, and as TOML writes them."""

import json
import numbers
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")


def plain(value: Any) -> Any:
    """A value in Python's own types: NumPy's scalars become numbers, tuples and other sequences of them lists.

    >>> plain((1, 2.5))
    [1, 2.5]
    """
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if type(value).__name__ in ("bool_", "bool") and hasattr(
        value, "item"
    ):  # NumPy's truth values are no numbers.Number
        return bool(value)
    return value


def toml_value(value: Any) -> str:
    """One value as TOML; `None` is the word "none".

    >>> toml_value({"a": [1, 0.5], "b c": None})
    '{a = [1, 0.5], "b c" = "none"}'
    """
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(toml_value(item) for item in value) + "]"


def toml_key(name: str) -> str:
    """A key, in quotes where it must be."""
    return name if BARE.fullmatch(name) else toml_value(name)
