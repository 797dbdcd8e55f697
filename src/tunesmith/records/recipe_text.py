"""The recipe as TOML and as JSON, both ways. Mistakes are named with file and line."""

import codecs
import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.records.errors import RecipeError, did_you_mean
from tunesmith.records.fields import field
from tunesmith.records.foreign import entries_of, own
from tunesmith.records.foreign_names import foreign
from tunesmith.records.lines import Keys, json_keys, toml_keys
from tunesmith.records.plain import toml_key, toml_value
from tunesmith.records.recipe import Recipe, Source, revised
from tunesmith.records.sections import SECTIONS

WIDTH = 100  # of a comment line


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a `.toml` or `.json` file; a JSON file may be another trainer's configuration."""
    path = Path(path)
    if path.suffix.lower() not in (".toml", ".json"):
        raise RecipeError(
            f"the recipe {path} is neither .toml nor .json; a YAML file of another trainer can be read once it is written as JSON"
        )
    text = _text(path)
    return recipe_from_toml(text, str(path)) if path.suffix.lower() == ".toml" else recipe_from_json(text, str(path))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        beside = (
            [one.name for one in path.parent.iterdir() if one.suffix in (".toml", ".json")]
            if path.parent.is_dir()
            else []
        )
        raise RecipeError(f"no recipe file {path}{did_you_mean(path.name, beside)}") from None
    except OSError as error:
        raise RecipeError(f"the recipe {path} cannot be read ({error.strerror}); expected a text file") from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError(
            f"{path}:{line}: the text is not {encoding.removesuffix('-sig').upper()}; save it as UTF-8"
        ) from None


def recipe_from_toml(text: str, name: str = "recipe.toml") -> Recipe:
    """The recipe a TOML text describes.

    >>> recipe_from_toml("[optim]\\nlr = 0.1").source("optim.lr")
    Source(kind='file', detail='recipe.toml:2')
    """
    text = text.removeprefix("\ufeff")
    try:
        nested = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(_toml_mistake(text, name, str(error))) from None
    except RecursionError:
        raise RecipeError(f"{name} is nested too deeply; a recipe has sections with keys") from None
    return _recipe(nested, _first_lines(toml_keys(text)), name)


def recipe_from_json(text: str, name: str = "recipe.json") -> Recipe:
    """The recipe a JSON text describes, ours or another trainer's configuration (whose unknown names are told, not refused)."""
    text = text.removeprefix("\ufeff")
    try:
        nested = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecipeError(
            f"{name}:{error.lineno}: no JSON: {error.msg[:1].lower()}{error.msg[1:]} at column {error.colno}"
        ) from None
    except RecursionError:
        raise RecipeError(f"{name} is nested too deeply; a recipe has sections with keys") from None
    if not isinstance(nested, dict):
        raise RecipeError(
            f"{name} holds a {type(nested).__name__}; expected an object with the sections {', '.join(SECTIONS)}"
        )
    keys = list(json_keys(text))
    twice = _given_twice(keys)
    if twice:
        key, first, second = twice
        raise RecipeError(f"{name}:{second}: {'.'.join(key)} is given twice (first on line {first}); keep one")
    return _recipe(nested, _first_lines(keys), name, lenient=_is_anothers(nested))


def _recipe(nested: Mapping[str, Any], lines: Mapping[Keys, int], name: str, *, lenient: bool = False) -> Recipe:
    entries = entries_of(nested, lines, name)
    return revised(
        Recipe(), entries, lambda entry: Source("imported" if lenient else "file", entry.where), lenient=lenient
    )


def _is_anothers(nested: Mapping[str, Any]) -> bool:
    """Whether the object is another trainer's: it has names that others use, and no section of ours holds a field of ours."""
    for section, kind in SECTIONS.items():
        if isinstance(nested.get(section), Mapping) and set(nested[section]) & set(kind.model_fields):
            return False
    entries = entries_of(nested)
    return any(foreign(entry.name) for entry in entries) and not any(own(entry.name) for entry in entries)


def _first_lines(keys: Iterable[tuple[Keys, int]]) -> dict[Keys, int]:
    lines: dict[Keys, int] = {}
    for key, line in keys:
        lines.setdefault(key, line)
    return lines


def _given_twice(keys: Iterable[tuple[Keys, int]]) -> tuple[Keys, int, int] | None:
    lines: dict[Keys, int] = {}
    for key, line in keys:
        if key in lines:
            return key, lines[key], line
        lines[key] = line
    return None


def _toml_mistake(text: str, name: str, message: str) -> str:
    """One sentence for a text that is no TOML: what stands twice, or what the parser says, with the line."""
    place = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    reason = message[: place.start()] if place else message
    line = int(place.group(1)) if place and place.group(1) else text.count("\n") + 1
    twice = (
        _given_twice((key, at) for key, at in toml_keys(text) if at <= line)
        if "verwrite" in reason or "twice" in reason
        else None
    )
    if twice:
        key, first, second = twice
        return f"{name}:{second}: {'.'.join(key)} is given twice (first on line {first}); keep one"
    reason = reason[:1].lower() + reason[1:]
    column = f" at column {place.group(2)}" if place and place.group(2) else ""
    hint = "; text stands in quotes" if "nvalid value" in reason else ""
    return f"{name}:{line}: no TOML: {reason}{column}{hint}"


def recipe_to_toml(recipe: Recipe, *, comments: bool = False) -> str:
    """The whole recipe as TOML. `comments`: each field with its meaning, kind, range and default."""
    lines = (
        ['# A Tunesmith recipe. "auto" is resolved from the data; "none" stands for no value.', ""] if comments else []
    )
    for section, kind in SECTIONS.items():
        if comments and kind.__doc__:
            lines.append(f"# {kind.__doc__.splitlines()[0]}")
        lines.append(f"[{section}]")
        for name in kind.model_fields:
            path = f"{section}.{name}"
            if comments:
                lines += ["", *_comment(path)]
            lines.append(f"{toml_key(name)} = {toml_value(recipe.get(path))}")
        lines.append("")
    return "\n".join(lines)


def _comment(path: str) -> list[str]:
    known = field(path)
    words = f"{known.description}; {known.kind}; default {toml_value(known.default)}"
    return [f"# {line}" for line in textwrap.wrap(words, WIDTH)]


def recipe_to_json(recipe: Recipe) -> str:
    """The whole recipe as JSON."""
    return json.dumps(recipe.model_dump(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors. The word "none" stands for null, as in TOML."""
    schema = Recipe.model_json_schema()
    for definition in schema["$defs"].values():
        for one in definition["properties"].values():
            if any(choice.get("type") == "null" for choice in one.get("anyOf", ())):
                one["anyOf"].append({"const": "none", "type": "string"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A Tunesmith recipe"}
