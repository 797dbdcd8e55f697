"""The user's own arrays, which go to the model as they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from tunesmith.data.spec import Array, Plain, Table
from tunesmith.records import DataError
from tunesmith.records.sections import DataSection


class PlainBlock:
    """An array of the user's own, checked: finite, and of the shape it was trained with."""

    def __init__(self, names: Sequence[str], settings: DataSection) -> None:
        self.names = tuple(names)
        self.kind = self.names[0]
        self.notices: tuple[str, ...] = ()
        self._shape: tuple[int, ...] = ()
        self._type = ""

    def fit(self, table: Table) -> None:
        values = table[self.kind]
        self._shape = tuple(values.shape[1:])
        self._type = values.dtype.name

    def transform(self, table: Table) -> Array:
        values = table[self.kind]
        if values.shape[1:] != self._shape:
            raise DataError(
                f"{self.kind} has rows of shape {tuple(values.shape[1:])} and the model was trained on {self._shape}; "
                "bring it to that shape"
            )
        return values.astype(self._type, copy=False)

    def spec(self) -> Plain:
        return Plain(self._shape)

    def told(self, name: str) -> str:
        """How the model sees it, for people."""
        return "as it is"

    def to_json(self) -> dict[str, Any]:
        return {"names": list(self.names), "shape": list(self._shape), "dtype": self._type}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection())
        block._shape = tuple(plain["shape"])
        block._type = plain["dtype"]
        return block
