"""A rule of thumb as a record: what is said, how far it holds, the numbers to carry instead."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from tunesmith.blocks.experience import context
from tunesmith.records import did_you_mean
from tunesmith.records.sections import PATHS, SECTIONS

Standing: TypeAlias = Literal["sound", "part", "folk", "wrong", "none"]
Severity: TypeAlias = Literal["note", "warning"]
Mark: TypeAlias = Literal["S", "R", "D", "P", "ours"]
Use: TypeAlias = Literal["prior", "lint", "check", "text"]
Part: TypeAlias = Literal["rate", "batch", "model", "regularisation", "data", "search"]

STANDINGS = {
    "sound": "keep it",
    "part": "true under the condition named",
    "folk": "a belief without evidence, or against it",
    "wrong": "do what stands under Advice",
    "none": "guides give no number",
}
MARKS = {
    "S": "read in the source",
    "R": "run here",
    "D": "derived",
    "P": "quoted from a paper or guide, not read again",
    "ours": "an assumption, until it is measured",
}


def _is_table(path: str) -> bool:
    section, _, name = path.partition(".")
    return SECTIONS[section].model_fields[name].default_factory is dict


def _path(path: str) -> str:
    """A field of the recipe, something below its tables `extra`, or a quantity that no section of the recipe holds."""
    section, _, name = path.partition(".")
    if not name:
        raise ValueError(
            f"{path!r} is no path; expected a recipe field such as 'optim.lr' or a quantity such as 'updates.total'"
        )
    if section in SECTIONS and path not in PATHS and ".".join(path.split(".")[:2]) not in TABLES:
        raise ValueError(f"no recipe field called {path!r}{did_you_mean(path, PATHS)}")
    return path


TABLES = tuple(path for path in PATHS if _is_table(path))  # fields that hold values by name


def _condition(when: dict[str, Any]) -> dict[str, Any]:
    wrong = context.trouble(when)
    if wrong:
        raise ValueError(wrong)
    return when


Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Number: TypeAlias = int | Finite
Path: TypeAlias = Annotated[str, AfterValidator(_path)]
When: TypeAlias = Annotated[dict[str, Any], AfterValidator(_condition)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """Frozen, unknown fields forbidden, no silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


class Start(Record):
    """Where to start a setting, and where to search for it, under a condition.

    The range is log-uniform where `log` is set: in the value, or in 1 - value with `complement`. `choices` are all the
    values there are, where given. `per_batch`: the start is for that batch and goes in proportion to the one known.
    """

    path: Path
    when: When = Field(default_factory=dict)
    start: Number | str
    low: Number | None = None
    high: Number | None = None
    log: bool = False
    complement: bool = False
    choices: tuple[Number | str, ...] = ()
    multiple: Annotated[int, Field(ge=1)] | None = None
    powers_of_two: bool = False
    per_batch: Annotated[int, Field(ge=1)] | None = None
    why: str = ""

    @model_validator(mode="after")
    def _agrees(self) -> "Start":
        if self.choices:
            if self.start not in self.choices:
                raise ValueError(f"start = {self.start!r} is none of the choices {list(self.choices)!r}")
        elif isinstance(self.start, str):
            raise ValueError(f"start = {self.start!r} is a word; give the words to choose from as choices = […]")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"low = {self.low!r}, high = {self.high!r}: a range needs both ends")
        if self.low is not None and self.high is not None:
            self._range(self.low, self.high)
        elif self.log or self.complement:
            raise ValueError("log and complement say how a range is searched, but low and high are missing")
        return self

    def _range(self, low: float, high: float) -> None:
        if not low < high:
            raise ValueError(f"low = {low!r}, high = {high!r}: low must be below high")
        if isinstance(self.start, str) or not low <= self.start <= high:
            raise ValueError(f"start = {self.start!r} lies outside the range {low!r} to {high!r}")
        if self.log and (low <= 0 if not self.complement else high >= 1):
            raise ValueError(f"the range {low!r} to {high!r} has no logarithm at its end")


class Bound(Record):
    """A value that is told: outside numbers, or one of words, under a condition. `says` is the sentence of the note."""

    path: Path
    when: When = Field(default_factory=dict)
    below: Number | None = None
    above: Number | None = None
    at_least: Number | None = None
    one_of: tuple[str, ...] = ()
    severity: Severity = "note"
    says: Text

    @model_validator(mode="after")
    def _has_a_limit(self) -> "Bound":
        if self.below is None and self.above is None and self.at_least is None and not self.one_of:
            raise ValueError("a bound needs below, above, at_least or one_of")
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(f"below = {self.below!r}, above = {self.above!r}: no value would pass")
        return self

    def broken(self, value: Any) -> float | str | None:
        """The limit that a value breaks, or None."""
        if isinstance(value, str):
            return value if value in self.one_of else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.below is not None and value < self.below * (1 - SLACK):
            return self.below
        if self.above is not None and value > self.above * (1 + SLACK):
            return self.above
        return self.at_least if self.at_least is not None and value >= self.at_least * (1 - SLACK) else None


SLACK = 1e-9  # a share such as 3 / 30 is not above 0.1


class Factor(Record):
    """Starts of a path are multiplied under a condition, and kept inside their range."""

    path: Path
    when: When
    times: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Rule(Record):
    """One rule of thumb. `when` holds for all its numbers; `numbers` are those that no setting of a recipe has."""

    id: Text
    part: Part
    about: Text
    guides: Text
    standing: Standing
    condition: str = ""
    advice: Text
    because: Text
    source: Text
    marks: Annotated[tuple[Mark, ...], Field(min_length=1)]
    use: Annotated[tuple[Use, ...], Field(min_length=1)]
    paths: tuple[Path, ...] = ()
    when: When = Field(default_factory=dict)
    starts: tuple[Start, ...] = ()
    bounds: tuple[Bound, ...] = ()
    factors: tuple[Factor, ...] = ()
    numbers: dict[str, Number | tuple[Number, ...]] = Field(default_factory=dict)

    _origin: str = PrivateAttr("")
    _own: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _uses_what_it_has(self) -> "Rule":
        if self.bounds and not {"lint", "check"} & set(self.use):
            raise ValueError("it has bounds, but neither 'lint' nor 'check' is among its uses")
        if self.starts and "prior" not in self.use:
            raise ValueError("it has starts, but 'prior' is not among its uses")
        return self

    @property
    def origin(self) -> str:
        """The file of a user that gave or changed the rule; "" for ours."""
        return self._origin

    @property
    def own(self) -> tuple[str, ...]:
        """The fields that the user's file gave."""
        return self._own

    def concerns(self, path: str) -> bool:
        """Whether the rule has something to say about a path."""
        return path in self.paths or self.has_numbers_for(path)

    def has_numbers_for(self, path: str) -> bool:
        """Whether it has a start, a bound or a factor for a path."""
        return path in (
            *(one.path for one in self.starts),
            *(one.path for one in self.bounds),
            *(one.path for one in self.factors),
        )


class Contradiction(Record):
    """Advice that contradicts itself, and the condition that separates the two."""

    about: Text
    one: Text
    other: Text
    condition: Text
    rules: Annotated[tuple[str, ...], Field(min_length=1)]
