"""The recipe as TOML, with the sources of its values beside it. TOML has no null: it is written "none"."""

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomlkit

from tunesmith.records import Recipe, RunError, Source
from tunesmith.records.recipe import validated
from tunesmith.runs.files import write_json, write_text

RECIPE, SOURCES = "recipe.toml", "sources.json"
NONE = "none"


def write_recipe(folder: Path, recipe: Recipe) -> None:
    plain = recipe.model_dump(mode="json")
    written = {
        section: {name: NONE if value is None else value for name, value in held.items()}
        for section, held in plain.items()
    }
    write_json(folder / SOURCES, {path: asdict(source) for path, source in recipe.sources().items()})
    write_text(folder / RECIPE, tomlkit.dumps(written))


def read_recipe(folder: Path) -> Recipe:
    try:
        written = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))
        sources = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"run {folder} has no readable recipe ({error}); restore {RECIPE} and {SOURCES} from a copy"
        ) from error
    plain = {
        section: {name: _null(section, name, value) for name, value in held.items()}
        for section, held in written.items()
    }
    return validated(plain, {path: Source(**source) for path, source in sources.items()})


def _null(section: str, name: str, value: Any) -> Any:
    field = Recipe.model_fields.get(section)
    known = getattr(field.annotation, "model_fields", {}) if field else {}
    can_be_null = name in known and type(None) in getattr(known[name].annotation, "__args__", ())
    return None if value == NONE and can_be_null else value
