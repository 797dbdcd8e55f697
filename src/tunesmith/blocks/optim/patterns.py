"""Parameters by name: globs (`head.*`), and regular expressions behind `re:` (`re:^blocks\\.[0-3]\\.`).

The words `body` and `head` alone mean the parts of a net, where these are known (`parts`) and no parameter is called so.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from tunesmith.records import RecipeError, did_you_mean

EXPRESSION = "re:"
Parts = Mapping[str, Collection[str]]  # the names of the parameters of a part, by its word


def matching(pattern: str, names: Iterable[str], field: str, parts: Parts | None = None) -> list[str]:
    """The names that a pattern means: a part, a glob over the whole name, or an expression searched in it.

    Raises `RecipeError` for a pattern that matches nothing, with the nearest names, and for one that is no expression.

    >>> matching("*.weight", ["head.weight", "head.bias"], "optim.rates")
    ['head.weight']
    """
    known = list(names)
    if parts is not None and pattern in parts and pattern not in known:
        return [name for name in known if name in parts[pattern]]
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


def factors(
    patterns: Mapping[str, float], names: Iterable[str], field: str, parts: Parts | None = None
) -> dict[str, float]:
    """The factor of each name that a pattern matches; where several do, the last of them holds.

    >>> factors({"body.*": 0.1, "body.norm.*": 1.0}, ["body.0.weight", "body.norm.bias", "head.bias"], "optim.rates")
    {'body.0.weight': 0.1, 'body.norm.bias': 1.0}
    """
    known = list(names)
    return {name: factor for pattern, factor in patterns.items() for name in matching(pattern, known, field, parts)}


def _near(pattern: str, names: list[str]) -> str:
    """The nearest names and beginnings of names, as patterns; without one, those there are."""
    beginnings = {f"{'.'.join(name.split('.')[:depth])}.*" for name in names for depth in range(1, name.count(".") + 1)}
    return did_you_mean(pattern.removeprefix(EXPRESSION), [*names, *sorted(beginnings)])
