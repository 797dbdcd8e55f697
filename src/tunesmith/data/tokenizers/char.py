"""Characters: a token for each Unicode character that the training texts hold often enough."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers import END, PADDING, RESERVED, TOKENIZERS, UNKNOWN, code_points, most_frequent, starts


@TOKENIZERS.add("char")
class Char:
    """A token a character, the most frequent first.

    >>> tokenizer = Char.fit(["好吃", "好"], min_count=1)
    >>> tokenizer.encode(["吃好了"])[0].tolist()
    [4, 3, 1]
    """

    kind: ClassVar[str] = "char"

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = tuple(pieces)
        points = code_points("".join(self.pieces))
        self._sorted = np.sort(points)
        self._tokens = (np.argsort(points) + RESERVED).astype(np.int32)

    @property
    def vocabulary(self) -> int:
        return RESERVED + len(self.pieces)

    @classmethod
    def fit(cls, texts: Sequence[str], *, vocab_size: int = 20_000, min_count: int = 2) -> Self:
        points, counts = np.unique(code_points("".join(texts)), return_counts=True)
        found = Counter({chr(point): int(count) for point, count in zip(points.tolist(), counts.tolist(), strict=True)})
        return cls(most_frequent(found, vocab_size, min_count))

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        points = code_points("".join(texts))
        if not self.pieces:
            return np.full(len(points), UNKNOWN, np.int32), starts(map(len, texts))
        place = np.minimum(np.searchsorted(self._sorted, points), len(self.pieces) - 1)
        values = np.where(self._sorted[place] == points, self._tokens[place], np.int32(UNKNOWN))
        return values, starts(map(len, texts))

    def decode(self, tokens: Iterable[int]) -> str:
        kept = (token for token in tokens if token not in (PADDING, END))
        return "".join(self.pieces[token - RESERVED] if token >= RESERVED else "\ufffd" for token in kept)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "pieces": list(self.pieces)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(plain["pieces"])
