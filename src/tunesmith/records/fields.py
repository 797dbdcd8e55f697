"""What a recipe field is: its kind, range, default and meaning, read from the schema and put into words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tunesmith.records.errors import UnknownName, did_you_mean, nearest
from tunesmith.records.plain import toml_value
from tunesmith.records.sections import PATHS, SECTIONS


@dataclass(frozen=True, slots=True)
class RecipeField:
    """One field of the recipe. `admits` holds the alternatives as JSON Schema has them."""

    path: str
    description: str
    default: Any
    admits: tuple[Mapping[str, Any], ...]

    @property
    def section(self) -> str:
        """The part before the dot."""
        return self.path.partition(".")[0]

    @property
    def name(self) -> str:
        """The part after the dot."""
        return self.path.partition(".")[2]

    @property
    def choices(self) -> tuple[str, ...]:
        """The words the field admits by name."""
        return tuple(
            word for one in self.admits for word in (one.get("enum") or [one[key] for key in ("const",) if key in one])
        )

    @property
    def kind(self) -> str:
        """The kinds and ranges in words: `a number > 0, or "auto"`."""
        words = [_words(one) for one in self.admits]
        return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]

    def takes(self, kind: str) -> bool:
        """Whether the field admits a value of a JSON type: `null`, `boolean`, `integer`, `number`, `array`, `object`, `string` (free text)."""
        return any(
            one.get("type") == kind and not (kind == "string" and ("enum" in one or "const" in one))
            for one in self.admits
        )


@cache
def field(path: str) -> RecipeField:
    """The field at a dotted path. Raises `UnknownName` with the nearest paths.

    >>> field("optim.lr").kind
    'a number > 0 or "auto"'
    """
    if path not in PATHS:
        raise UnknownName(unknown_path(path))
    section, _, name = path.partition(".")
    plain = SECTIONS[section].model_json_schema()["properties"][name]
    made = SECTIONS[section].model_fields[name]
    admits = tuple(
        {key: value for key, value in one.items() if key != "default"} for one in plain.get("anyOf", [plain])
    )
    return RecipeField(path, made.description or "", made.get_default(call_default_factory=True), admits)


def owners(name: str) -> tuple[str, ...]:
    """The paths that end in a bare field name.

    >>> owners("batch_size")
    ('train.batch_size', 'eval.batch_size')
    """
    return tuple(path for path in PATHS if path.partition(".")[2] == name)


def unknown_path(path: str, also: Iterable[str] = ()) -> str:
    """The sentence for a path that does not exist: the section that has such a field, or the nearest names."""
    section, dot, name = path.partition(".")
    if section in SECTIONS and not dot:
        fields = ", ".join(SECTIONS[section].model_fields)
        return f"{section!r} is a section of the recipe; write [{section}] and its fields below it: {fields}"
    if section in SECTIONS:
        elsewhere = " or ".join(repr(one) for one in owners(name))
        if elsewhere:
            return f"section [{section}] has no field called {name!r}; did you mean {elsewhere}?"
        inside = [f"{section}.{one}" for one in SECTIONS[section].model_fields]
        return f"no recipe field called {path!r}{did_you_mean(path, inside if nearest(path, inside) or not also else [*PATHS, *also])}"
    return _unknown_name(path, section, name, also)


def _unknown_name(path: str, section: str, name: str, also: Iterable[str]) -> str:
    """For a path outside every section."""
    leaves = {one.partition(".")[2]: one for one in PATHS}
    guess = nearest(path, [*PATHS, *also]) or [leaves[one] for one in nearest(path, leaves)]
    clause = (
        f"; did you mean {' or '.join(repr(one) for one in guess)}?" if guess else f"; sections: {', '.join(SECTIONS)}"
    )
    if not name:
        return f"no recipe field or section called {path!r}{clause}"
    close = nearest(section, SECTIONS)
    if close and not guess:
        clause = f"; did you mean [{close[0]}]?"
    return f"the recipe has no section [{section}] for {path!r}{clause}"


def _words(one: Mapping[str, Any]) -> str:
    if "pattern" in one and "description" in one:
        return str(one["description"])
    if "const" in one or "enum" in one:
        words = [f'"{word}"' for word in one.get("enum", [one.get("const")])]
        return words[0] if len(words) == 1 else "one of " + ", ".join(words)
    match one.get("type"):
        case "boolean":
            return "true or false"
        case "integer":
            return "a whole number" + _range(one)
        case "number":
            return "a number" + _range(one)
        case "null":
            return '"none"'
        case "array":
            return "a list of " + _words(one["items"]).removeprefix("a ").replace("number", "numbers", 1)
        case "object":
            return "a table of values"
    return "text"


def _range(one: Mapping[str, Any]) -> str:
    """The bounds of a number in words; a large power of two as such."""
    signs = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))
    bounds = [f"{sign} {_bound(one[key])}" for key, sign in signs if key in one]
    return (" " + " and ".join(bounds)) if bounds else ""


def _bound(value: float) -> str:
    if isinstance(value, int):
        return str(value) if value < 2**31 else f"2^{value.bit_length() - 1}"
    return f"{value:g}"


def default_text(path: str) -> str:
    """The default as a recipe file has it."""
    return toml_value(field(path).default)
