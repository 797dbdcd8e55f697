"""What a finder is to work on: a program or task of the user's own, or data with a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.records import Recipe


def subject_of(
    task: str | None,
    data: str | None,
    val: str | None,
    recipe: Path | None,
    settings: Sequence[str] | None,
    short: Mapping[str, Any],
    about: Mapping[str, Any],
) -> "tuple[Any, Recipe | None]":
    """The subject and the recipe asked for; a `Program` brings its own settings."""
    from tunesmith.cli.check import program_of
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe

    program = program_of(task)
    if program is not None:
        return program, None
    subject = task_of(task, data, val=val, **about)
    return subject, asked_recipe(recipe, settings, {**short, "data.val": share_of(val)})
