"""The recipe: everything that may be altered about a training, as plain data.

Sections `data model loss optim schedule train eval run`. A value is `"auto"` until a run resolves it from the data and
the model; each value carries its source (default, file, command line, revised, derived with its equation).
`revise` is the only door. Names that other trainers use are taken too; `Recipe.notices` says what they are called here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Literal

from pydantic import PrivateAttr, ValidationError

from tunesmith.records.errors import RecipeError, UnknownName, nearest
from tunesmith.records.fields import field, unknown_path
from tunesmith.records.foreign import Entry, Taking, entries_of, shown
from tunesmith.records.plain import plain
from tunesmith.records.sections import (
    PATHS,
    SECTIONS,
    DataSection,
    EvalSection,
    LossSection,
    ModelSection,
    OptimSection,
    RunSection,
    ScheduleSection,
    Section,
    TrainSection,
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from."""

    kind: Literal["default", "file", "command line", "given", "revised", "derived", "imported"]  # given: in Python
    detail: str = ""  # file:line, the equation, or the foreign name

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


DEFAULT = Source("default")
REVISED = Source("revised")
GIVEN = Source("given")


class Recipe(Section):
    """Everything that may be altered, nested by section; unknown fields are refused.

    >>> Recipe(optim={"name": "sgd"}).optim.lr
    'auto'
    >>> revise(Recipe(), {"optim.lr": 1e-4}).optim.lr
    0.0001
    """

    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    loss: LossSection = LossSection()
    optim: OptimSection = OptimSection()
    schedule: ScheduleSection = ScheduleSection()
    train: TrainSection = TrainSection()
    eval: EvalSection = EvalSection()
    run: RunSection = RunSection()

    _sources: dict[str, Source] = PrivateAttr(default_factory=dict)
    _notices: tuple[str, ...] = PrivateAttr(default=())

    def __init__(self, **settings: Any) -> None:
        given = {
            name: one.model_dump(exclude_unset=True) if isinstance(one, Section) else one
            for name, one in settings.items()
        }
        taking = Taking({})
        taking.take(entries_of(given))
        sources = {path: _source(GIVEN, path, entry) for path, entry in taking.entries.items()}
        sections = _sections(None, taking.changes, sources)
        super().__init__(**sections)
        self._sources, self._notices = sources, tuple(taking.notices)
        _agree(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said about names of other trainers, one line each."""
        return self._notices

    def source(self, path: str) -> Source:
        """Where the value at `path` came from."""
        self.get(path)
        return self._sources.get(path, DEFAULT)

    def sources(self) -> Mapping[str, Source]:
        """The source of every value that is no default, by path."""
        return dict(self._sources)

    def get(self, path: str) -> Any:
        """The value at a dotted path. Raises `UnknownName` with the nearest paths."""
        section, _, name = path.partition(".")
        if path not in PATHS:
            raise UnknownName(unknown_path(path))
        return getattr(getattr(self, section), name)

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted path."""
        return {path: self.get(path) for path in PATHS}


def revise(recipe: Recipe, changes: Mapping[str, Any], source: Source | Mapping[str, Source] = REVISED) -> Recipe:
    """A copy of `recipe` with the values at dotted paths replaced, validated as a whole.

    Names of other trainers, and the last part of a path where only one field has it, are taken with a line in `notices`;
    a path may lead into a table (`optim.extra.nesterov`). Raises `UnknownName` for a path that does not exist and
    `RecipeError` for a value of the wrong type or range.

    >>> revise(Recipe(), {"optim.lrr": 1})
    Traceback (most recent call last):
    tunesmith.records.errors.UnknownName: no recipe field called 'optim.lrr'; did you mean 'optim.lr'?
    """

    def of(entry: Entry) -> Source:
        return source if isinstance(source, Source) else source.get(entry.name, REVISED)

    return revised(recipe, entries_of(changes), of)


def revised(
    recipe: Recipe, entries: Iterable[Entry], source: Callable[[Entry], Source], *, lenient: bool = False
) -> Recipe:
    """As `revise`, for entries that know where they stand. `lenient`: unknown names are told, not refused."""
    taking = Taking(recipe.flat(), lenient=lenient)
    taking.take(entries)
    new = {path: _source(source(entry), path, entry) for path, entry in taking.entries.items()}
    sources = {**recipe.sources(), **{".".join(path.split(".")[:2]): one for path, one in new.items()}}
    copy = recipe.model_copy(update=_sections(recipe, taking.changes, sources))
    copy._sources = sources
    copy._notices = tuple(dict.fromkeys((*recipe.notices, *taking.notices)))
    _agree(copy)
    return copy


def validated(nested: Mapping[str, Any], sources: Mapping[str, Source]) -> Recipe:
    """The recipe of plain nested data, with the sources it had. The first trouble is raised as one sentence."""
    recipe = revised(Recipe(), entries_of(nested), lambda entry: sources.get(entry.name, DEFAULT))
    recipe._sources = {path: source for path, source in sources.items() if path in PATHS}
    return recipe


@singledispatch
def apply(subject: Any, change: Mapping[str, Any]) -> Any:
    """A changed copy of a recipe, a task or a program; the rooms that know how register themselves."""
    raise RecipeError(f"a change {dict(change)!r} was to be applied to a {type(subject).__name__}; expected a Recipe")


@apply.register
def _(subject: Recipe, change: Mapping[str, Any]) -> Recipe:
    surgery = [name for name in change if name.startswith("surgery.")]
    if surgery:
        raise RecipeError(
            f"{', '.join(surgery)} changes a program or a model, not a recipe; apply it to the task or the program"
        )
    return revise(subject, change)


def _source(source: Source, path: str, entry: Entry) -> Source:
    """The source with the name the value came under, where it is another than ours."""
    if source.kind == "default" or entry.name == path:
        return source
    return Source(source.kind, ", ".join(part for part in (source.detail, entry.name) if part))


def _sections(recipe: Recipe | None, changes: Mapping[str, Any], sources: Mapping[str, Source]) -> dict[str, Section]:
    """The sections that change, validated one by one."""
    values: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        section, name, *inside = path.split(".")
        held = values.setdefault(section, getattr(recipe, section).model_dump() if recipe is not None else {})
        if not inside:
            held[name] = None if value == "none" and _is_empty_word(f"{section}.{name}") else plain(value)
            continue
        held[name] = table = dict(held.get(name, {}))
        for key in inside[:-1]:
            table[key] = table = dict(table[key]) if isinstance(table.get(key), Mapping) else {}
        table[inside[-1]] = plain(value)
    return {section: _section(section, held, sources) for section, held in values.items()}


def _is_empty_word(path: str) -> bool:
    """Whether "none" stands for no value in this field (TOML has no null)."""
    known = field(path)
    return known.takes("null") and "none" not in known.choices


def _section(section: str, values: Mapping[str, Any], sources: Mapping[str, Source]) -> Section:
    try:
        return SECTIONS[section].model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
    name = str(first["loc"][0])
    path = f"{section}.{name}"
    reason = first.get("ctx", {}).get("error") if first["type"] == "value_error" else None
    raise RecipeError(_sentence(path, values[name], sources.get(path), str(reason or "")))


def _sentence(path: str, came: Any, source: Source | None, reason: str) -> str:
    where = (
        {"file": source.detail, "imported": source.detail, "command line": source.detail or "--set"}.get(
            source.kind, ""
        )
        if source
        else ""
    )
    expected = reason or f"expected {field(path).kind}"
    close = [repr(word) for word in nearest(came, field(path).choices)] if isinstance(came, str) else []
    guess = f"; did you mean {' or '.join(close)}?" if close else f"; see `tunesmith explain {path}`"
    return f"{path} = {shown(came)}{f' ({where})' if where else ''}: {expected}{guess}"


def _agree(recipe: Recipe) -> None:
    """What no field can say alone."""
    val, test = recipe.data.val, recipe.data.test
    if val + test >= 1:
        raise RecipeError(
            f"data.val + data.test = {val} + {test} = {val + test:g} leaves nothing to train on; the sum must be below 1"
        )
