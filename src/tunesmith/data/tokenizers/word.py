"""Words, numbers and punctuation signs, the frequent ones each with a token of its own.

A word is a run of letters with their combining marks, with apostrophes inside; letters of scripts that put no spaces
between words (Chinese, Japanese, Thai) count singly. A number is a run of digits; one that the vocabulary lacks is
spelt digit by digit, so that its length is not lost. Every other visible sign is a token. Texts are brought to
Unicode NFC.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain, repeat
from typing import Any, ClassVar, Self
from unicodedata import normalize

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers import END, PADDING, RESERVED, TOKENIZERS, UNKNOWN, most_frequent, starts
from tunesmith.data.tokenizers.scripts import marks, unspaced_class

DIGITS = tuple("0123456789")


@cache
def pattern() -> re.Pattern[str]:
    """What a token looks like."""
    alone, mark = unspaced_class(), marks()
    letters = rf"[^\W\d_{alone}](?:[^\W\d_{alone}]|[{mark}])*"
    return re.compile(rf"{letters}(?:['’]{letters})*|\d+|[{alone}][{mark}]*|[^\w\s]|_|[^\W\d_]")


@TOKENIZERS.add("word")
class Word:
    """A token a word, number or sign, the most frequent first. Case is dropped with `lower`.

    >>> tokenizer = Word.fit(["Call 112!", "call me"], min_count=1)
    >>> tokenizer.decode(tokenizer.encode(["CALL 21 now!"])[0])
    'call 2 1 \ufffd !'
    """

    kind: ClassVar[str] = "word"

    def __init__(self, pieces: Sequence[str], lower: bool = True) -> None:
        self.pieces = tuple(pieces)
        self.lower = lower
        self._tokens = {piece: place for place, piece in enumerate(self.pieces, RESERVED)}

    @property
    def vocabulary(self) -> int:
        return RESERVED + len(self.pieces)

    @classmethod
    def fit(cls, texts: Sequence[str], *, vocab_size: int = 20_000, min_count: int = 2, lower: bool = True) -> Self:
        counts = Counter(chain.from_iterable(split(texts, lower)))
        for digit in DIGITS:  # they are always kept
            counts.pop(digit, None)
        kept = most_frequent(counts, vocab_size, min_count, taken=RESERVED + len(DIGITS))
        return cls(DIGITS + kept, lower)

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        rows = split(texts, self.lower)
        offsets = starts(map(len, rows))
        pieces = list(chain.from_iterable(rows))
        values = np.fromiter(map(self._tokens.get, pieces, repeat(UNKNOWN)), np.int32, len(pieces))
        return self._spelt(pieces, values, offsets)

    def _spelt(self, pieces: Sequence[str], values: Array, offsets: Array) -> tuple[Array, Array]:
        """Numbers that are unknown as a whole become their digits."""
        numbers = [place for place in np.flatnonzero(values == UNKNOWN).tolist() if pieces[place].isdecimal()]
        if not numbers:
            return values, offsets
        widths = np.ones(len(pieces), np.int64)
        widths[numbers] = [len(pieces[place]) for place in numbers]
        ends = starts(widths)
        spread = np.repeat(values, widths)
        for place in numbers:
            spread[ends[place] : ends[place + 1]] = [self._tokens[str(int(digit))] for digit in pieces[place]]
        return spread, ends[offsets]

    def decode(self, tokens: Iterable[int]) -> str:
        kept = (token for token in tokens if token not in (PADDING, END))
        return " ".join(self.pieces[token - RESERVED] if token >= RESERVED else "\ufffd" for token in kept)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "lower": self.lower, "pieces": list(self.pieces)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(plain["pieces"], plain["lower"])


def split(texts: Iterable[str], lower: bool) -> list[list[str]]:
    """The words, numbers and signs of each text."""
    find = pattern().findall
    return [find(normalize("NFC", text.lower() if lower else text)) for text in texts]
