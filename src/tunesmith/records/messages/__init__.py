"""Templates of what is said to a user, one file a language: `en.toml`, `zh.toml`.

A template is addressed by its id (`"loss.nonfinite"`) and filled with values by `str.format`. A message that is no id
is taken as the template itself, so that a plug-in can bring its own words.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.records.errors import UnknownName, did_you_mean


@cache
def languages() -> tuple[str, ...]:
    """The languages at hand.

    >>> languages()
    ('en', 'zh')
    """
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    )


@cache
def templates(language: str) -> Mapping[str, str]:
    """All templates of a language by id."""
    if language not in languages():
        raise UnknownName(f"no language called {language!r}{did_you_mean(language, languages())}")
    return dict(tomllib.loads((files(__name__) / f"{language}.toml").read_text(encoding="utf-8")))


def render(message: str, values: Mapping[str, Any], language: str = "en") -> str:
    """The template `message` of `language`, filled with `values`."""
    return templates(language).get(message, message).format(**values)
