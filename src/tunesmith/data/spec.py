"""What the data room hands on: the parts of the rows, what the inputs are, how they came to be. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

import numpy as np

from tunesmith.records import Finding

if TYPE_CHECKING:
    from tunesmith.data.pipeline import Pipeline

Array: TypeAlias = np.ndarray[Any, Any]
Table: TypeAlias = Mapping[str, Array]
"""Columns by name, of equal length. Numbers are float64 with NaN for a missing value; text and categories are object
arrays of `str` with None for a missing value; pictures are uint8 (N, C, H, W)."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one part, ready for a model."""

    inputs: Mapping[str, Array]  # by the keys of `Prepared.spec`, each with N rows
    target: Array | None
    weight: Array | None  # float32 (N,)
    rows: Array  # int64 (N,), row numbers in the source, 0 is the first row of data
    human: Array | None = (
        None  # a second annotation: class indices int64 (N,), -1 where there is none; else as the target came
    )
    beside: Mapping[str, Array] = field(default_factory=dict)  # arrays of N rows that no model sees, such as lengths

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Array) -> Part:
        """The rows at these places."""
        return Part(
            {name: values[places] for name, values in self.inputs.items()},
            None if self.target is None else self.target[places],
            None if self.weight is None else self.weight[places],
            self.rows[places],
            None if self.human is None else self.human[places],
            {name: values[places] for name, values in self.beside.items()},
        )


@dataclass(frozen=True, slots=True)
class Numbers:
    """`inputs["numbers"]`: float32 (N, width), scaled or encoded."""

    width: int
    names: tuple[str, ...]  # of each of the `width` features


@dataclass(frozen=True, slots=True)
class Categories:
    """`inputs["categories"]`: int64 (N, K). Index 0 is a rare or unseen level, 1 a missing value."""

    sizes: tuple[int, ...]  # rows of each embedding table, indices 0 and 1 included
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """`inputs["tokens"]`: int32 (N, length), padded at the end with `padding`.

    Where several samples share a row, `inputs["segments"]` numbers them from 1 on, 0 is padding, and `inputs["positions"]` counts
    from 0 in each: both int32 (N, length), and both `Places`.
    """

    vocabulary: int
    length: int
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """`inputs["segments"]` and `inputs["positions"]`: int32 (N, length), whole numbers beside the tokens."""

    length: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """`inputs["pictures"]`: uint8 (N, C, H, W); the feed makes them (x / 255 - mean) / std."""

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]  # by channel, of x / 255
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """`inputs["x"]`: float32 or int64 (N, *shape), the user's own arrays as they came."""

    shape: tuple[int, ...]


InputSpec: TypeAlias = Numbers | Categories | Tokens | Places | Pictures | Plain
SPECS: tuple[type[InputSpec], ...] = (
    Numbers,
    Categories,
    Tokens,
    Places,
    Pictures,
    Plain,
)


def spec_to_json(spec: Mapping[str, InputSpec]) -> dict[str, Any]:
    """Plain data of the inputs' descriptions, by input."""
    return {key: {"type": type(value).__name__, **asdict(value)} for key, value in spec.items()}


def spec_from_json(plain: Mapping[str, Any]) -> dict[str, InputSpec]:
    """The inverse of `spec_to_json`.

    >>> spec_from_json(spec_to_json({"x": Plain((3, 2))}))
    {'x': Plain(shape=(3, 2))}
    """
    types = {spec.__name__: spec for spec in SPECS}
    return {key: types[fields["type"]](**_tuples(fields)) for key, fields in plain.items()}


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in fields.items() if name != "type"}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the source: what it was taken for and what became of it."""

    name: str
    kind: str  # number, ordinal, boolean, category, date, text, picture, or why it is no feature: target, identifier …
    missing: int = 0  # missing values in the rows looked at
    distinct: int | None = None
    values: str = ""  # levels or range, for people
    encoding: str = ""  # what the model sees of it
    source: str = "inferred"  # or "given", where the task says so


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows lie in which part: int64 row numbers of the source of each part, 0 is the first row of data."""

    name: str  # random, stratified, group, time, given
    train: Array
    val: Array
    test: Array
    seed: int = 0


NO_ROWS: Array = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class PictureSet:
    """What a reader of pictures gives."""

    pixels: Array  # uint8 (N, C, H, W)
    labels: Array | None  # (N,) of any type
    parts: Array | None = None  # (N,) of "train", "val", "test", where the source itself says so
    sources: tuple[str, ...] = ()  # the file of each row, where rows are files
    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class Prepared:
    """Data ready for training, and everything known about them."""

    kind: str
    train: Any  # Part, or the user's own DataLoader or Dataset
    val: Any  # the same, or None
    test: Any
    spec: Mapping[str, InputSpec]  # keys as in `Part.inputs`
    outputs: int  # width a model needs
    classes: tuple[Any, ...] | None = None  # the original label of each index
    counts: Array | None = None  # training rows of each class
    positive: int | None = None  # index of the positive class, where the task is binary
    pipeline: Pipeline | None = None
    columns: tuple[Column, ...] = ()
    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = ()
    fingerprint: str = ""  # hash of the data: values, names, order
    split: Split = field(default_factory=lambda: Split("given", NO_ROWS, NO_ROWS, NO_ROWS))


class Block(Protocol):
    """One family of features: fitted on the training part only, travels as JSON.

    Built as `Block(names, recipe.data)`. `transform` gives N rows, as `spec()` says.
    """

    names: tuple[str, ...]  # the columns it reads
    notices: tuple[str, ...]  # what a user should be told about the fit

    @property
    def kind(self) -> str: ...  # the key of its array in `Part.inputs`: "numbers", "categories", "tokens", "pictures"

    def fit(self, table: Table) -> None: ...

    def transform(self, table: Table) -> Array: ...

    def spec(self) -> InputSpec: ...

    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self: ...
