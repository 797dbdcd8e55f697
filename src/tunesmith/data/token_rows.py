"""Arrays that hold tokens already: whole numbers (N, length), 0 as padding at the end."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from tunesmith.data.spec import Array, Table, Tokens
from tunesmith.records import DataError
from tunesmith.records.sections import DataSection


class TokenBlock:
    """Token indices of the user's own for a built-in sequence model; `vocabulary` is that of all the data given."""

    kind = "tokens"

    def __init__(self, names: Sequence[str], settings: DataSection, vocabulary: int = 0) -> None:
        self.names = tuple(names)
        self.notices: tuple[str, ...] = ()
        self._vocabulary = vocabulary
        self._length = 0

    def fit(self, table: Table) -> None:
        values = table[self.names[0]]
        self._vocabulary = max(self._vocabulary, int(values.max(initial=0)) + 1)
        self._length = int(values.shape[1])

    def transform(self, table: Table) -> Array:
        values = table[self.names[0]]
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        if low < 0 or high >= self._vocabulary:
            row = int(np.flatnonzero(((values < 0) | (values >= self._vocabulary)).any(axis=1))[0])
            raise DataError(
                f"token {low if low < 0 else high} in row {row} lies beyond the table of {self._vocabulary} tokens; "
                "expected the indices that the training data hold"
            )
        return values.astype(np.int32)

    def spec(self) -> Tokens:
        return Tokens(self._vocabulary, self._length)

    def told(self, name: str) -> str:
        """How the model sees them, for people."""
        return f"tokens of a table of {self._vocabulary}"

    def to_json(self) -> dict[str, Any]:
        return {"names": list(self.names), "vocabulary": self._vocabulary, "length": self._length}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection())
        block._vocabulary, block._length = plain["vocabulary"], plain["length"]
        return block
