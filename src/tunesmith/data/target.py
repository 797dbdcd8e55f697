"""The target: what kind of task it makes, its labels as indices, its numbers scaled, and the way back.

How a kind is decided where the user does not say, in order: words and truth values are classes; several columns are
labels if all are 0 or 1 and numbers else; whole numbers are classes if there are two of them, at most `FEW_VALUES`,
or an even count of rows for each of 0 … K-1; all other numbers are regression.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import DataError, did_you_mean

FEW_VALUES = 20  # whole numbers up to which they are taken for classes; assumption
MOST_CLASSES = 1000  # of even counts, beyond which numbers stay numbers; assumption
CLASSES = ("binary", "multiclass")
NUMBERS = ("regression", "multi_regression")
Label = str | int | float | bool


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A target that was understood: encodes values, decodes predictions, travels as JSON."""

    kind: str
    names: tuple[str, ...]
    classes: tuple[Label, ...] | None = None  # by index
    positive: int | None = None
    center: tuple[float, ...] = ()  # of the training part, subtracted; empty for no scaling
    spread: tuple[float, ...] = ()  # divided by
    as_is: bool = False  # the user's own labels for the user's own model: left alone
    gaps: bool = False  # a row may miss some of its numbers (NaN): the loss leaves them out

    @property
    def outputs(self) -> int:
        """The width of the model's output."""
        return len(self.classes) if self.classes is not None else len(self.names)

    def encode(self, values: Array, name: str = "the data") -> Array:
        """Indices int64 (N,), 0 / 1 float32 (N, K), or scaled numbers float32 (N,) or (N, K)."""
        if self.as_is:
            return values.astype(np.int64, copy=False) if values.dtype.kind in "iub" else values
        if self.classes is not None:
            return self._indices(values, name)
        numbers = np.asarray(values, np.float64)
        if self.center:
            numbers = (numbers - np.asarray(self.center)) / np.asarray(self.spread)
        return np.asarray(numbers.reshape(len(numbers), -1) if len(self.names) > 1 else numbers.reshape(-1), np.float32)

    def annotated(self, values: Array) -> Array:
        """A second annotation beside the target: class indices int64 (N,), -1 for a missing or unknown label; else the values."""
        if self.classes is None or self.kind == "multilabel":
            return values
        place = {_word(label): number for number, label in enumerate(self.classes)}
        return np.array([place.get(_word(value), -1) for value in values.tolist()], np.int64)

    def decode(self, values: Array) -> Array:
        """Original labels of indices (N,) or of scores (N, C); numbers unscaled, float64; multilabel 0 / 1 as it is."""
        given = np.asarray(values)
        if self.classes is not None:
            wide = given.ndim == 2 and given.shape[1] > 1
            indices = given.argmax(axis=1) if wide else given.reshape(-1).astype(np.int64)
            labels = np.array(self.classes, dtype=None if len({type(c) for c in self.classes}) == 1 else object)
            decoded: Array = labels[indices]
            return decoded
        if not self.center:
            return np.asarray(given)
        numbers: Array = np.asarray(given, np.float64) * np.asarray(self.spread) + np.asarray(self.center)
        return numbers

    def scaled(self, training: Array, how: str) -> Self:
        """The same with the scale of the training rows' numbers (mean and standard deviation)."""
        if self.kind not in NUMBERS or how == "none" or self.as_is:
            return self
        numbers = np.asarray(training, np.float64).reshape(len(training), -1)
        spread = np.nanstd(numbers, axis=0)
        return type(self)(
            self.kind,
            self.names,
            center=tuple(np.nanmean(numbers, axis=0).tolist()),
            spread=tuple(np.where(spread > 0, spread, 1.0).tolist()),
            gaps=self.gaps,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "names": list(self.names),
            "classes": None if self.classes is None else list(self.classes),
            "positive": self.positive,
            "center": list(self.center),
            "spread": list(self.spread),
            "as_is": self.as_is,
            "gaps": self.gaps,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        classes = None if plain["classes"] is None else tuple(plain["classes"])
        scale = tuple(plain["center"]), tuple(plain["spread"])
        gaps = plain.get("gaps", False)  # runs from before gaps could be kept have none
        return cls(plain["kind"], tuple(plain["names"]), classes, plain["positive"], *scale, plain["as_is"], gaps)

    def _indices(self, values: Array, name: str) -> Array:
        assert self.classes is not None
        if values.dtype.kind in "iuf" and all(isinstance(label, int | float) for label in self.classes):
            ordered = np.asarray(self.classes)
            places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
            if (ordered[places] == values).all():
                return np.asarray(places, np.int64)
        known = {label: index for index, label in enumerate(self.classes)}
        listed = labels_of(values)
        indices = np.fromiter((known.get(label, -1) for label in listed), np.int64, len(listed))
        if (indices < 0).any():
            strange = Counter(label for label, index in zip(listed, indices, strict=True) if index < 0)
            label, _ = strange.most_common(1)[0]
            hint = did_you_mean(str(label), [str(one) for one in self.classes]).removesuffix("?")
            raise DataError(
                f"{strange.total()} rows of {name} are of {len(strange)} classes that the training data do not have, "
                f"such as {label!r}{hint}: correct those labels, leave the rows out, or train on some of them"
            )
        return indices


def _word(label: Any) -> str:
    """A label as a word: 1, 1.0 and True are "1"."""
    if isinstance(label, bool | int | float):
        return str(int(label)) if label == label and abs(label) != np.inf and label == int(label) else str(label)
    return str(label)


def labels_of(values: Array) -> list[Label]:
    """Labels as plain values: whole numbers as int, words as str, truth values as bool.

    >>> labels_of(np.array([1.0, 2.0]))
    [1, 2]
    """
    if values.dtype.kind == "f":
        return [int(value) if value == int(value) else value for value in values.tolist()]
    listed: list[Label] = values.tolist()
    return listed


def understood(values: Array, names: Sequence[str], kind: str, positive: Any) -> tuple[Target, str]:
    """The target that values (N,) or (N, K) without gaps make, and a sentence on how that was decided."""
    chosen, why = (kind, "as the task says") if kind != "auto" else inferred(values)
    if positive is not None and chosen != "binary":
        raise DataError(
            f"positive = {positive!r} names a class of a binary task and this one is {chosen}; leave it out"
        )
    told = f"target {', '.join(map(repr, names[:4]))}{' …' if len(names) > 4 else ''}: {chosen}, {why}"
    if chosen in CLASSES:
        if values.ndim != 1:
            raise DataError(f"{chosen} takes one target column and {len(names)} were named; use kind = 'multilabel'")
        return _classes(values, names, chosen, positive), told
    _check_numbers(values, names, chosen)
    return Target(chosen, tuple(names)), told


def inferred(values: Array) -> tuple[str, str]:
    """The kind of task and why.

    >>> inferred(np.array([-1, 1, 1]))
    ('binary', 'for it has 2 values')
    """
    if values.ndim == 2:
        if values.dtype.kind in "fiub" and np.isin(values, (0, 1)).all():
            return "multilabel", f"for all {values.shape[1]} columns hold 0 and 1"
        return "multi_regression", f"for there are {values.shape[1]} columns of numbers"
    distinct, counts = np.unique(_comparable(values), return_counts=True)
    many = len(distinct)
    if values.dtype == object or values.dtype.kind == "b":
        return ("binary" if many == 2 else "multiclass"), f"for it has {many} labels"
    whole = bool((distinct == np.floor(distinct)).all())
    if whole and many == 2:
        return "binary", f"for it has {many} values"
    if whole and many <= min(FEW_VALUES, max(2, len(values) // 2)):
        return "multiclass", f"for it has {many} different whole numbers; kind = 'regression' takes them as numbers"
    run = whole and distinct[0] in (0, 1) and distinct[-1] - distinct[0] + 1 == many <= MOST_CLASSES
    if run and counts.max() <= 10 * counts.min() and len(values) >= 10 * many:
        return "multiclass", f"for it has about as many rows of each of {distinct[0]:g} to {distinct[-1]:g}"
    return "regression", f"for it has {many} different numbers"


def _comparable(values: Array) -> Array:
    return values.astype(str) if values.dtype == object else values


def _classes(values: Array, names: Sequence[str], kind: str, positive: Any) -> Target:
    counts = _tally(values)
    classes = tuple(sorted(counts, key=lambda label: (isinstance(label, str), label)))
    if len(classes) < 2:
        raise DataError(
            f"target {names[0]!r} has one value only ({classes[0]!r}); expected at least two classes to tell apart"
        )
    if len(classes) == len(values) and len(values) > 2:
        raise DataError(
            f"target {names[0]!r} has a different value in each of {len(values)} rows ({classes[0]!r}, {classes[1]!r} …); "
            "expected classes that repeat: name another column, or kind = 'regression' for numbers"
        )
    if kind == "binary" and len(classes) > 2:
        raise DataError(
            f"a binary task has two classes and target {names[0]!r} has {len(classes)}; use kind = 'multiclass'"
        )
    return Target(kind, tuple(names), classes, _positive(classes, counts, positive) if len(classes) == 2 else None)


def _tally(values: Array) -> Counter[Label]:
    if values.dtype == object:
        return Counter(labels_of(values))
    distinct, counts = np.unique(values, return_counts=True)
    return Counter(dict(zip(labels_of(distinct), counts.tolist(), strict=True)))


def _positive(classes: tuple[Label, ...], counts: Counter[Label], named: Any) -> int:
    if named is None:
        return int(counts[classes[1]] <= counts[classes[0]])  # the rarer one; the latter of two as frequent
    by_text = {str(label): index for index, label in enumerate(classes)}
    if str(named) not in by_text:
        raise DataError(
            f"no class called {named!r} in the target to be the positive one{did_you_mean(str(named), by_text)}"
        )
    return by_text[str(named)]


def _check_numbers(values: Array, names: Sequence[str], kind: str) -> None:
    if values.dtype == object:
        word = next(value for value in values.reshape(-1).tolist() if value is not None)
        raise DataError(f"{kind} needs numbers and target {names[0]!r} holds {word!r}; use kind = 'multiclass'")
    table = values.reshape(len(values), -1)
    if kind == "multilabel" and not np.isin(table, (0, 1)).all():
        strange = table[~np.isin(table, (0, 1))][0]
        raise DataError(
            f"a multilabel target holds 0 and 1 and this one holds {strange:g}; use kind = 'multi_regression'"
        )
    for name, column in zip(names, table.T, strict=True):
        column = column[column == column]  # where some may be missing
        if not len(column):
            raise DataError(f"target {name!r} is missing in all {len(values)} rows; name another column")
        if kind in NUMBERS and column.min() == column.max():
            raise DataError(
                f"target {name!r} has one value only ({column[0]:g}) in all {len(values)} rows; there is nothing to learn"
            )
