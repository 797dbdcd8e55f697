"""Blocks for data that go to the model as they are: the user's own arrays, and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from tunesmith.data.spec import Array, Pictures, Plain, Table
from tunesmith.records import DataError
from tunesmith.records.recipe import DataSection


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
        return {"names": list(self.names), "shape": list(self._shape), "type": self._type}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection())
        block._shape = tuple(plain["shape"])
        block._type = plain["type"]
        return block


class PictureBlock:
    """Pictures uint8 (N, C, H, W): mean and standard deviation of each channel from the training part."""

    kind = "pictures"

    def __init__(self, names: Sequence[str], settings: DataSection) -> None:
        self.names = tuple(names)
        self.notices: tuple[str, ...] = ()
        self._spec: Pictures | None = None

    def fit(self, table: Table) -> None:
        pixels = table[self.names[0]]
        # each channel takes 256 values: moments from their counts are exact and need no copy of the pictures as floats
        counts = np.stack([np.bincount(pixels[:, c].reshape(-1), minlength=256) for c in range(pixels.shape[1])])
        levels = np.arange(256) / 255.0
        total = counts.sum(axis=1)
        mean = counts @ levels / total
        std = np.sqrt(np.maximum(counts @ levels**2 / total - mean**2, 0.0))
        channels, height, width = pixels.shape[1:]
        spread = tuple(float(s) if s > 0 else 1.0 for s in std)
        self._spec = Pictures(channels, height, width, tuple(float(m) for m in mean), spread)

    def transform(self, table: Table) -> Array:
        pixels, spec = table[self.names[0]], self.spec()
        expected = (spec.channels, spec.height, spec.width)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
            came = f"{pixels.dtype.name} pictures of shape {tuple(pixels.shape[1:])}"
            raise DataError(f"{came} came and the model was trained on uint8 of {expected} (channels, height, width); resize them")
        return pixels

    def spec(self) -> Pictures:
        assert self._spec is not None, "the block was not fitted"
        return self._spec

    def inverse(self, pixels: Array) -> dict[str, Array]:
        """The pictures themselves."""
        return {self.names[0]: pixels}

    def told(self, name: str) -> str:
        """How the model sees them, for people."""
        spec = self.spec()
        mean, std = (" ".join(f"{v:.3f}" for v in values) for values in (spec.mean, spec.std))
        return f"(x / 255 - {mean}) / {std}"

    def to_json(self) -> dict[str, Any]:
        spec = self.spec()
        size = [spec.channels, spec.height, spec.width]
        return {"names": list(self.names), "size": size, "mean": list(spec.mean), "std": list(spec.std)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection())
        block._spec = Pictures(*plain["size"], tuple(plain["mean"]), tuple(plain["std"]))
        return block
