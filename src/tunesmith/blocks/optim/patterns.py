"""Parameters by name: globs (`head.*`), and regular expressions behind `re:` (`re:^blocks\\.[0-3]\\.`)."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from tunesmith.records import RecipeError, did_you_mean

EXPRESSION = "re:"


def matching(pattern: str, names: Iterable[str], field: str) -> list[str]:
    """The names that a pattern means: a glob over the whole name, or an expression searched in it.

    Raises `RecipeError` for a pattern that matches nothing, with the nearest names, and for one that is no expression.

    >>> matching("*.weight", ["head.weight", "head.bias"], "optim.rates")
    ['head.weight']
    """
    known = list(names)
    if pattern.startswith(EXPRESSION):
        try:
            expression = re.compile(pattern.removeprefix(EXPRESSION))
        except re.error as error:
            raise RecipeError(f"{field}: {pattern!r} is no regular expression ({error})") from error
        found = [name for name in known if expression.search(name)]
    else:
        found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        raise RecipeError(f"{field}: {pattern!r} matches no parameter{_near(pattern, known)}")
    return found


def factors(patterns: Mapping[str, float], names: Iterable[str], field: str) -> dict[str, float]:
    """The factor of each name that a pattern matches; where several do, the last of them holds.

    >>> factors({"body.*": 0.1, "body.norm.*": 1.0}, ["body.0.weight", "body.norm.bias", "head.bias"], "optim.rates")
    {'body.0.weight': 0.1, 'body.norm.bias': 1.0}
    """
    known = list(names)
    return {name: factor for pattern, factor in patterns.items() for name in matching(pattern, known, field)}


def _near(pattern: str, names: list[str]) -> str:
    """The nearest names and beginnings of names, as patterns; without one, those there are."""
    beginnings = {f"{'.'.join(name.split('.')[:depth])}.*" for name in names for depth in range(1, name.count(".") + 1)}
    return did_you_mean(pattern.removeprefix(EXPRESSION), [*names, *sorted(beginnings)])
