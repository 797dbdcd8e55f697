"""Templates of what is said to a user: `en.toml`, `zh.toml`, and for each larger subject a pair `<subject>.en.toml`,
`<subject>.zh.toml`.

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
    names = (file.name.removesuffix(".toml") for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    return tuple(sorted(name for name in names if "." not in name))


@cache
def templates(language: str) -> Mapping[str, str]:
    """All templates of a language by id. An id that stands in two files is an error of ours."""
    if language not in languages():
        raise UnknownName(f"no language called {language!r}{did_you_mean(language, languages())}")
    found: dict[str, str] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda one: one.name):
        if file.name == f"{language}.toml" or file.name.endswith(f".{language}.toml"):
            read = tomllib.loads(file.read_text(encoding="utf-8"))
            assert not found.keys() & read.keys(), f"{file.name} repeats {sorted(found.keys() & read.keys())}"
            found |= read
    return found


def render(message: str, values: Mapping[str, Any], language: str = "en") -> str:
    """The template `message` of `language`, filled with `values`. A value that is the id of a word (`word.…`) is put in that language."""
    known = templates(language)
    spoken = {
        name: known.get(value, value) if isinstance(value, str) and value.startswith("word.") else value
        for name, value in values.items()
    }
    return known.get(message, message).format(**spoken)
