"""Tokenizers: text to numbers and back, fitted on the training part, exact as JSON.

Every tokenizer keeps the first three numbers for itself: 0 pads, 1 stands for what the vocabulary lacks, 2 ends a text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers.scripts import unspaced, word_starts
from tunesmith.records import Catalog, DataError

PADDING, UNKNOWN, END = 0, 1, 2
RESERVED = 3  # the first number of a piece of text
SAMPLE_CHARACTERS = 2_000_000  # read to choose a tokenizer; enough for any language, read in 0.1 s


class Tokenizer(Protocol):
    """Text to numbers and back."""

    kind: ClassVar[str]

    @property
    def vocabulary(self) -> int:
        """Rows an embedding table needs: the largest number + 1."""

    @classmethod
    def fit(cls, texts: Sequence[str], *, vocab_size: int = 20_000, min_count: int = 2) -> Self:
        """Learns at most `vocab_size` tokens (the reserved three included), each seen `min_count` times or more."""

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of all texts in a row, int32 (total,), and where each begins, int64 (len(texts) + 1,)."""

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of one row; padding and end-of-text are left out, unknown is shown as U+FFFD."""

    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self: ...


TOKENIZERS: Catalog[type[Tokenizer]] = Catalog("tokenizer")
TOKENIZERS.load(__path__, __name__)


def from_json(plain: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` wrote."""
    return TOKENIZERS[plain["kind"]].from_json(plain)


def choose(texts: Iterable[str]) -> tuple[str, str]:
    """`"char"` or `"word"`, and why in a clause.

    Characters where the scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give at
    least as many characters as the other scripts give words; words otherwise. The first two million characters decide.

    >>> choose(["很快，好吃", "送得 very 慢"])
    ('char', 'characters of scripts without spaces between words: 7, words of others: 1')
    """
    taken, size = [], 0
    for text in texts:
        taken.append(text)
        size += len(text)
        if size > SAMPLE_CHARACTERS:
            break
    points = code_points("\n".join(taken))
    characters, words = int(unspaced(points).sum()), int(word_starts(points).sum())
    name = "char" if characters and characters >= words else "word"
    return name, f"characters of scripts without spaces between words: {characters:,}, words of others: {words:,}"


def code_points(text: str) -> Array:
    """The Unicode numbers of the characters, uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def most_frequent(counts: Counter[str], vocab_size: int, min_count: int, taken: int = RESERVED) -> tuple[str, ...]:
    """The pieces a vocabulary of `vocab_size` has room for, the most frequent first, equals in Unicode order."""
    room = vocab_size - taken
    if room < 1:
        raise DataError(
            f"a vocabulary of {vocab_size} has no room beside its {taken} fixed tokens; "
            "set data.vocab_size to 100 or more"
        )
    kept = [piece for piece, count in counts.items() if count >= min_count]
    return tuple(sorted(kept, key=lambda piece: (-counts[piece], piece))[:room])


def starts(lengths: Iterable[int]) -> Array:
    """Where each text begins, from the lengths: int64, one longer.

    >>> starts([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate(([0], np.cumsum(np.fromiter(lengths, np.int64)))).astype(np.int64)
