"""What an audit looks at: the rows of each part as they came, and as a fast model would see them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tunesmith.data.sheet import Sheet
from tunesmith.data.spec import Array, Column
from tunesmith.records import Recipe
from tunesmith.records.check import Inapplicable
from tunesmith.records.clock import Clock

if TYPE_CHECKING:
    from tunesmith.doctor.audits.lineage import Lineage

Value = TypeVar("Value")
NUMERIC = ("number", "ordinal", "boolean", "date")


@dataclass(slots=True, eq=False)
class View:
    """The rows of one part.

    `table` holds every column that is not the target and was not dropped, those that no model will see (identifiers,
    constants) too: numbers, truth values and dates float64 with NaN for a gap; words object arrays of str with None;
    pictures uint8 (N, C, H, W); the user's own arrays as they came, (N, ...).
    """

    part: str  # "train", "val", "test"
    name: str  # of the source, for people
    table: Mapping[str, Array]
    target: Array | None  # as it came: (N,) or (N, K), float64 or int with NaN for a gap, or objects with None
    codes: (
        Array | None
    )  # int64 (N,): place in `Material.classes`, -1 where it is in none; None where the target is numbers
    rows: Array  # int64 (N,), row numbers in the source, 0 is the first row of data
    group: Array | None = None  # int64 (N,), one number a group
    time: Array | None = None  # float64 (N,), in an order
    weight: Array | None = None
    sheet: Sheet | None = None  # the cells as they stand in the file, all rows of the source; see `rows`
    sources: tuple[str, ...] = ()  # the file of each row, where rows are files
    planned: bool = False  # divided off by the recipe, not given by the user
    human: Array | None = None  # a second annotation, as the target came

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Array) -> View:
        """The rows at `places` of this view."""

        def some(values: Array | None) -> Array | None:
            return None if values is None else values[places]

        return View(
            self.part,
            self.name,
            {name: values[places] for name, values in self.table.items()},
            some(self.target),
            some(self.codes),
            self.rows[places],
            some(self.group),
            some(self.time),
            some(self.weight),
            self.sheet,
            tuple(self.sources[place] for place in places) if self.sources else (),
            self.planned,
            some(self.human),
        )


@dataclass(slots=True, eq=False)
class Material:
    """Everything an audit may look at."""

    name: str
    form: str  # "table", "pictures" or "arrays" (the user's own arrays, or a Dataset read out)
    kind: (
        str  # of the task: multiclass, binary, multilabel, regression, multi_regression, language; "" without a target
    )
    parts: Mapping[str, View]  # "train" always; a part that the recipe divides off is `planned`
    classes: tuple[Any, ...] = ()  # original labels by code
    targets: tuple[str, ...] = ()  # names of the target columns
    columns: Mapping[str, Column] = field(default_factory=dict)  # what each column of the table was taken for
    roles: Mapping[str, str] = field(default_factory=dict)  # "group", "time", "weight": the column that plays it
    recipe: Recipe = field(default_factory=Recipe)
    outputs: int | None = None  # width of the model that will be trained, where it is known
    as_is: bool = (
        False  # arrays and targets go to the user's own model as they came: nothing is scaled or numbered anew
    )
    norm_first: bool = False  # the user's model begins with a norm, which scales its inputs
    seed: int = 0
    clock: Clock = field(default_factory=Clock)
    refusal: str = ""  # why a training would not take these data, in one sentence
    notices: list[str] = field(default_factory=list)
    lineage: Lineage | None = None  # which rows of the source a model made
    older: View | None = None  # a sample from before, to hold the training rows against
    measured: dict[str, Any] = field(default_factory=dict)  # numbers by name, for the report and for other checks
    _kept: dict[str, Any] = field(default_factory=dict)

    @property
    def train(self) -> View:
        return self.parts["train"]

    @property
    def others(self) -> tuple[View, ...]:
        """The parts that are not trained on."""
        return tuple(view for part, view in self.parts.items() if part != "train")

    @property
    def classed(self) -> bool:
        """Whether each row has one class."""
        return self.kind in ("binary", "multiclass") and self.train.codes is not None

    @property
    def whole(self) -> View:
        """All rows of the source that is trained on: the training part, and what the recipe divides off from it."""
        return self.kept(
            "whole", lambda: _joined([view for view in self.parts.values() if view.part == "train" or view.planned])
        )

    def rng(self, name: str) -> np.random.Generator:
        """Random numbers of one audit: the same whatever the others draw."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def kept(self, name: str, make: Callable[[], Value]) -> Value:
        """A value that several audits need, made once."""
        if name not in self._kept:
            self._kept[name] = make()
        value: Value = self._kept[name]
        return value

    def numeric(self) -> list[str]:
        """Columns of the table that hold one number a row and are features."""
        return [name for name, column in self.columns.items() if column.kind in NUMERIC and name in self.train.table]

    def words(self, *kinds: str) -> list[str]:
        """Columns of those kinds (category, text, identifier …)."""
        return [name for name, column in self.columns.items() if column.kind in kinds and name in self.train.table]

    def need_form(self, *forms: str) -> None:
        """Raises `Inapplicable` where the data are of another form."""
        if self.form not in forms:
            raise Inapplicable(f"the data are {self.form}, not {' or '.join(forms)}")

    def need_target(self, *kinds: str) -> Array:
        """The training target. Raises `Inapplicable` without one, or where the task is of another kind."""
        if self.train.target is None or (kinds and self.kind not in kinds):
            raise Inapplicable(
                f"the task is {self.kind or 'without a target'}, not {' or '.join(kinds) or 'one with a target'}"
            )
        return self.train.target

    def need_others(self) -> tuple[View, ...]:
        """The parts beside the training rows. Raises `Inapplicable` without any."""
        if not self.others:
            raise Inapplicable("there is no validation and no test part")
        return self.others

    def place(self, view: View, place: int) -> str:
        """How a user finds a row of a view: its file, or its number and line."""
        if view.sources:
            return view.sources[place]
        return view.sheet.place(int(view.rows[place])) if view.sheet is not None else f"row {view.rows[place]}"


def _joined(views: Sequence[View]) -> View:
    if len(views) == 1:
        return views[0]
    first = views[0]
    order = np.argsort(np.concatenate([view.rows for view in views]), kind="stable")

    def all_of(pick: Callable[[View], Array | None]) -> Array | None:
        values = [pick(view) for view in views]
        return None if any(value is None for value in values) else np.concatenate(values)[order]  # type: ignore[arg-type]

    table = {name: np.concatenate([view.table[name] for view in views])[order] for name in first.table}
    sources = [source for view in views for source in view.sources]
    rows = np.concatenate([view.rows for view in views])[order]
    return View(
        "train",
        first.name,
        table,
        all_of(lambda view: view.target),
        all_of(lambda view: view.codes),
        rows,
        all_of(lambda view: view.group),
        all_of(lambda view: view.time),
        all_of(lambda view: view.weight),
        first.sheet,
        tuple(sources[place] for place in order) if sources else (),
        human=all_of(lambda view: view.human),
    )
