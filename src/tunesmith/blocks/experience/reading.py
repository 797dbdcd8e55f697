"""Rules of thumb from TOML. A mistake is named with its file, line, rule and field."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunesmith.blocks.experience.rule import Bound, Contradiction, Factor, Record, Rule, Start
from tunesmith.records import RecipeError, did_you_mean
from tunesmith.records.errors import nearest
from tunesmith.records.lines import toml_keys

Rules = Mapping[str, Rule]
Keys = tuple[str, ...]

TABLES = ("rule", "contradiction")
OURS = "rules.toml"


def packaged() -> tuple[dict[str, Rule], tuple[Contradiction, ...]]:
    """The rules that come with Tunesmith, in the order of their file."""
    text = (files(__package__) / OURS).read_text(encoding="utf-8")
    return rules_of(text, OURS, {}), contradictions_of(text, OURS)


def file_text(path: str | Path) -> str:
    """The text of a user's file. Raises `RecipeError` where it cannot be read."""
    path = Path(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        beside = [one.name for one in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise RecipeError(f"no experience file {path}{did_you_mean(path.name, beside)}") from None
    except OSError as error:
        raise RecipeError(
            f"the experience file {path} cannot be read ({error.strerror}); a text file was expected"
        ) from error
    except UnicodeDecodeError:
        raise RecipeError(f"the experience file {path} is not UTF-8; save it as UTF-8") from None


def rules_of(text: str, name: str, below: Rules) -> dict[str, Rule]:
    """The rules a text gives. A rule that stands in `below` keeps the fields the text leaves out."""
    found = {}
    for id, given in _table(text, name, "rule").items():
        if not isinstance(given, Mapping):
            raise RecipeError(
                f"{_place(text, name, ('rule', id))}: rule {id!r} is no table; write [rule.{json.dumps(id)}] and its fields below"
            )
        rule = _rule(text, name, id, given, below)
        if name != OURS:
            rule._origin, rule._own = name, tuple(given)
        found[id] = rule
    return found


def contradictions_of(text: str, name: str) -> tuple[Contradiction, ...]:
    """The pairs of advice that contradict each other."""
    given = _nested(text, name).get("contradiction", [])
    found = []
    for number, one in enumerate(given if isinstance(given, list) else [given]):
        try:
            found.append(Contradiction.model_validate_json(json.dumps(one, default=str)))
        except ValidationError as error:
            place = _place(text, name, ("contradiction",), number)
            raise RecipeError(f"{place}: contradiction {number + 1}: {_sentence(error, Contradiction)}") from None
    return tuple(found)


def _nested(text: str, name: str) -> dict[str, Any]:
    try:
        nested = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name}: no TOML: {str(error)[:1].lower()}{str(error)[1:]}") from None
    for key in nested:
        if key not in TABLES:
            hint = (
                f'; write [rule."{key}"]'
                if isinstance(nested[key], dict) and not nearest(key, TABLES)
                else did_you_mean(key, TABLES)
            )
            raise RecipeError(f"{_place(text, name, (key,))}: an experience file has no table {key!r}{hint}")
    return nested


def _table(text: str, name: str, key: str) -> Mapping[str, Any]:
    table = _nested(text, name).get(key, {})
    if not isinstance(table, dict):
        raise RecipeError(
            f'{_place(text, name, (key,))}: {key} is no table of rules; write [rule."lr.adam"] and its fields below'
        )
    return table


def _rule(text: str, name: str, id: str, given: Mapping[str, Any], below: Rules) -> Rule:
    held = below[id].model_dump(mode="json", exclude_defaults=True) if id in below else {}
    try:
        return Rule.model_validate_json(json.dumps({**held, **given, "id": id}, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        keys, number = _keys(id, first["loc"])
        if id not in below and first["type"] == "missing" and name != OURS:
            close = (
                did_you_mean(id, below) if nearest(id, below) else "; a rule of your own needs every field of a rule"
            )
            raise RecipeError(
                f"{_place(text, name, keys, number)}: rule {id!r}: {_sentence(error, Rule)}{close}"
            ) from None
        raise RecipeError(f"{_place(text, name, keys, number)}: rule {id!r}: {_sentence(error, Rule)}") from None


def _keys(id: str, loc: tuple[int | str, ...]) -> tuple[Keys, int]:
    """Where in the text an error of a rule stands: the keys, and which of the tables of that name."""
    named = [str(part) for part in loc if isinstance(part, str)]
    number = next((part for part in loc if isinstance(part, int)), 0)
    return ("rule", id, *named[:2]), number


def _place(text: str, name: str, keys: Keys, number: int = 0) -> str:
    """`file:line` of the deepest of the keys that stands in the text."""
    lines = _lines(text)
    for depth in range(len(keys), 0, -1):
        at = [line for found, line in lines if found == keys[:depth]]
        if at:
            tables = [line for found, line in lines if found == keys[:3]]
            if depth > 3 and number < len(tables):  # the key inside the table of that number, or the table itself
                return f"{name}:{next((line for line in at if line >= tables[number]), tables[number])}"
            return f"{name}:{at[min(number, len(at) - 1)]}"
    return name


def _lines(text: str) -> list[tuple[Keys, int]]:
    return list(toml_keys(text))


def _sentence(error: ValidationError, kind: type[Record]) -> str:
    """The first trouble in one clause: field, what came, what was expected."""
    first = error.errors()[0]
    loc = [
        part
        for part in first["loc"]
        if not (isinstance(part, str) and ("[" in part or part in ("int", "float", "str")))
    ]
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)
    reason = str(first.get("ctx", {}).get("error", "")) if first["type"] == "value_error" else ""
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "extra_forbidden":
        return f"there is no field {where!r}{did_you_mean(str(loc[-1]), _fields(kind, loc))}"
    said = reason or f"{first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return f"{where}: {said}" if where else said


def _fields(kind: type[Record], loc: list[int | str]) -> Iterator[str]:
    """The names of the fields where an error stands: those of the rule, or of one of its tables."""
    inner: dict[str | int, type[Record]] = {"starts": Start, "bounds": Bound, "factors": Factor}
    yield from (inner.get(loc[0], kind) if len(loc) > 1 else kind).model_fields
