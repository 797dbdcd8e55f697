"""Rules of thumb from TOML. A mistake is named with its file, line, rule and field."""

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
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
            place = _place(text, name, ("contradiction",), (number,))
            raise RecipeError(f"{place}: contradiction {number + 1}: {_sentence(error, Contradiction)}") from None
    return tuple(found)


@lru_cache(maxsize=2)  # rules and contradictions stand in one text
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
        place = _place(text, name, ("rule", id), first["loc"])
        said = _sentence(error, Rule)
        if first["type"] == "missing" and id not in below and name != OURS:
            said += (
                did_you_mean(id, below) if nearest(id, below) else "; a rule of your own needs every field of a rule"
            )
        raise RecipeError(f"{place}: rule {id!r}: {said}") from None


def _place(text: str, name: str, table: Keys, loc: tuple[int | str, ...] = ()) -> str:
    """`file:line` of the deepest key on the way to a mistake that stands in the text.

    Tables of a list stand inline, where their keys are numbered, or each under a heading of its own.
    """
    lines = list(toml_keys(text))
    inside = tuple(str(part) for part in loc)
    headings = [line for keys, line in lines if keys == (*table, *inside[:1])]
    number = loc[1] if len(loc) > 1 and isinstance(loc[1], int) else loc[0] if loc and isinstance(loc[0], int) else 0
    if len(inside) > 2 and number < len(headings):
        below = [line for keys, line in lines if keys == (*table, inside[0], inside[2]) and line > headings[number]]
        ahead = headings[number + 1] if number + 1 < len(headings) else sys.maxsize
        if below and below[0] < ahead:
            return f"{name}:{below[0]}"
        if len(headings) > 1:
            return f"{name}:{headings[number]}"
    keys = (*table, *inside)
    for depth in range(len(keys), 0, -1):
        at = [line for found, line in lines if found[:depth] == keys[:depth]]
        if at:
            return f"{name}:{at[0]}"
    return name


def _sentence(error: ValidationError, kind: type[Record]) -> str:
    """The first trouble in one clause: field, what came, what was expected."""
    errors = error.errors()
    first = errors[0]
    loc = [part for part in first["loc"] if not _is_alternative(part)]
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "extra_forbidden":
        return f"there is no field {where!r}{did_you_mean(str(loc[-1]), _fields(kind, loc))}"
    if first["type"] == "value_error":
        said = str(first["ctx"]["error"])
    elif len(loc) < len(first["loc"]):  # none of several kinds
        said = f"{first['input']!r}: a finite number{' or a word' if loc[-1] == 'start' else ''} was expected"
    else:
        said = f"{first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return f"{where}: {said}" if where else said


def _is_alternative(part: int | str) -> bool:
    """Whether a part of a place names one of several kinds that a field takes."""
    return isinstance(part, str) and ("[" in part or part in ("int", "float", "str", "constrained-str"))


def _fields(kind: type[Record], loc: list[int | str]) -> Iterator[str]:
    """The names of the fields where an error stands: those of the rule, or of one of its tables."""
    inner: dict[str | int, type[Record]] = {"starts": Start, "bounds": Bound, "factors": Factor}
    yield from (inner.get(loc[0], kind) if len(loc) > 1 else kind).model_fields
