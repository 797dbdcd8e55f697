"""Bytes of UTF-8: 256 tokens, nothing to fit, nothing unknown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers import RESERVED, TOKENIZERS, starts


@TOKENIZERS.add("byte")
class Byte:
    """A token a byte: byte value + 3.

    >>> Byte().encode(["Aé"])[0].tolist()
    [68, 198, 172]
    """

    kind: ClassVar[str] = "byte"
    vocabulary = RESERVED + 256

    @classmethod
    def fit(cls, texts: Sequence[str], *, vocab_size: int = 20_000, min_count: int = 2) -> Self:
        return cls()  # there are 256 bytes whatever the texts

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        coded = [text.encode("utf-8", "replace") for text in texts]
        values = np.frombuffer(b"".join(coded), np.uint8).astype(np.int32) + RESERVED
        return values, starts(map(len, coded))

    def decode(self, tokens: Iterable[int]) -> str:
        return bytes(token - RESERVED for token in tokens if RESERVED <= token < self.vocabulary).decode(
            "utf-8", "replace"
        )

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls()
