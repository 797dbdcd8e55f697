"""`tunesmith init`: a recipe file to start from."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json, Settings


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")] = Path("tunesmith.toml"),
    settings: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Write a recipe file with every setting explained."""
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.records import Recipe, RecipeError, recipe_to_toml

    if path.suffix != ".toml":
        raise RecipeError(f"{path}: a recipe is written as TOML; give a name that ends in .toml")
    if path.exists() and not force:
        raise RecipeError(f"{path} is there already; give another name, or --force to overwrite it")
    recipe = asked_recipe(None, settings, {}) or Recipe()
    path.write_text(recipe_to_toml(recipe, comments=True), encoding="utf-8")
    return Answer({"file": str(path)}, f"{path} written; use it with: tunesmith fit DATA --recipe {path}")
