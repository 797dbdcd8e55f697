"""What turns samples into tokens with, beside each token, whether it trains and who speaks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from tunesmith.data.language.samples import ROLES, Sample
from tunesmith.data.spec import Array


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens of one sample, each array (L,)."""

    tokens: Array  # int32
    trained: Array  # bool: the loss is taken where this token is foretold
    roles: Array  # int8, places in ROLES

    def __len__(self) -> int:
        return len(self.tokens)

    def piece(self, start: int, stop: int) -> Encoded:
        """Some of the tokens, in a row."""
        return Encoded(self.tokens[start:stop], self.trained[start:stop], self.roles[start:stop])


class Codec(Protocol):
    """Tokens of samples and back. Made by `FittedCodec.fit` or `FolderCodec.read`."""

    kind: ClassVar[str]
    name: str  # for people
    padding: int  # the token that rows are filled up with; it may be one that has another meaning
    ends: Collection[int]  # tokens that end a turn or a text
    notices: tuple[str, ...]

    @property
    def vocabulary(self) -> int:
        """Rows an embedding needs: the largest token + 1."""

    def encode(self, samples: Sequence[Sample], trains: Collection[str]) -> list[Encoded]:
        """The tokens of each sample; the turns of the roles in `trains` train, and so do plain texts."""

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, those with a meaning of their own spelt out, such as <|im_end|>."""

    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self: ...


class Growing:
    """The tokens of a sample while they are put together."""

    def __init__(self) -> None:
        self._tokens: list[Array] = []
        self._trained: list[bool] = []
        self._roles: list[int] = []
        self._counts: list[int] = []

    def add(self, tokens: Array | Sequence[int], role: str, *, trained: bool) -> None:
        """Appends tokens of one speaker that all train, or do not."""
        self._tokens.append(np.asarray(tokens, np.int32))
        self._counts.append(len(tokens))
        self._trained.append(trained)
        self._roles.append(ROLES.index(role))

    def done(self) -> Encoded:
        """The sample."""
        counts = np.array(self._counts, np.int64)
        tokens = np.concatenate(self._tokens) if self._tokens else np.zeros(0, np.int32)
        trained, roles = np.array(self._trained, bool), np.array(self._roles, np.int8)
        return Encoded(tokens, np.repeat(trained, counts), np.repeat(roles, counts))
