"""The recipe that a command line asks for: a file, `--set`, and the short options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.records import Recipe


def asked_recipe(file: Path | None, settings: Sequence[str] | None, short: Mapping[str, Any]) -> "Recipe | None":
    """The recipe asked for, None where nothing was: then a resumed run keeps its own. A later word wins over an earlier."""
    from tunesmith.records import Recipe, Source, parse_setting, read_recipe, revise

    recipe = read_recipe(file) if file is not None else Recipe()
    changes = dict(parse_setting(text) for text in settings or ())
    changes |= {path: value for path, value in short.items() if value is not None}
    if file is None and not changes:
        return None
    return revise(recipe, changes, Source("command line"))
