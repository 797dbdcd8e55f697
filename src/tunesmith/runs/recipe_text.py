"""The recipe of a run, as TOML with the sources of its values beside it."""

import json
from dataclasses import asdict
from pathlib import Path

from tunesmith.records import Recipe, RunError, Source, recipe_from_toml, recipe_to_toml
from tunesmith.records.recipe import validated
from tunesmith.runs.files import write_json, write_text

RECIPE, SOURCES = "recipe.toml", "sources.json"


def write_recipe(folder: Path, recipe: Recipe) -> None:
    write_json(folder / SOURCES, {path: asdict(source) for path, source in recipe.sources().items()})
    write_text(folder / RECIPE, recipe_to_toml(recipe))


def read_recipe(folder: Path) -> Recipe:
    try:
        recipe = recipe_from_toml((folder / RECIPE).read_text(encoding="utf-8"), str(folder / RECIPE))
        plain = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
        sources = {path: Source(**source) for path, source in plain.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"run {folder} has no readable recipe ({error}); restore {RECIPE} and {SOURCES} from a copy"
        ) from error
    return validated(recipe.model_dump(), sources)
