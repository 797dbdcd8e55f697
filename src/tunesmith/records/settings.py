"""`--set a.b=value`: text to a value of the field's own kind."""

import json
import re
import tomllib
from typing import Any

from tunesmith.records.errors import RecipeError
from tunesmith.records.fields import RecipeField, field, owners
from tunesmith.records.foreign import own

INTEGER = re.compile(r"[+-]?[0-9]+(_[0-9]+)*")
NUMBER = re.compile(r"[+-]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_setting(text: str) -> tuple[str, Any]:
    """The name and the value of one `name=value`, the value in the kind the field admits.

    A bare field name that only one section has is taken (`lr=1e-3`), and so is another trainer's name; both are returned as
    written, and `revise` says in `notices` what they are called here.

    >>> parse_setting("optim.lr=1e-3")
    ('optim.lr', 0.001)
    >>> parse_setting("loss.class_weights=[1, 2.5]")
    ('loss.class_weights', [1, 2.5])
    """
    name, equals, written = text.partition("=")
    name, written = name.strip(), written.strip()
    if not equals or not name:
        raise RecipeError(
            f"--set {text}: expected name=value without blanks around the sign, for example --set optim.lr=1e-3"
        )
    found = owners(name)
    path = name if own(name) else found[0] if len(found) == 1 else ""
    if path.count(".") != 1:
        return name, _guess(written)
    return name, _typed(field(path), written)


def _typed(known: RecipeField, text: str) -> Any:
    """The value in the first kind of the field that the text can be; a text that fits none is left for the check to name."""
    if text in known.choices:  # before its reading as a value: "none"
        return text
    if known.takes("null") and text.lower() in ("none", "null"):
        return None
    if known.takes("string"):
        return _whole_or_text(known, text)
    value = _guess(text)
    if isinstance(value, str) and value in known.choices:
        return value
    if known.takes("array") and not isinstance(value, list) and text:
        return [_guess(one.strip()) for one in text.split(",")]
    if known.takes("integer") and not known.takes("number") and isinstance(value, float) and value.is_integer():
        return int(value)  # 1e3 for a count
    return value


def _whole_or_text(known: RecipeField, text: str) -> Any:
    if known.takes("integer") and INTEGER.fullmatch(text):
        return int(text)
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return _guess(text)
    return text


def _guess(text: str) -> Any:
    """A value as TOML or JSON writes it; anything else is a bare word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text.replace("_", ""))
    if text[:1] in ("[", "{", "'", '"'):
        for read in (json.loads, lambda written: tomllib.loads(f"value = {written}")["value"]):
            try:
                return read(text)
            except ValueError:
                continue
        if text[0] == "[" and text[-1] == "]":  # a list of bare words
            return [_guess(one.strip()) for one in text[1:-1].split(",") if one.strip()]
    return text
