"""Pieces with scores, read from a folder: the tokenizer that comes with small Llama models.

Text gets a space before it and is split into characters; then the neighbours whose joined piece has the highest score are joined, until no
joined piece is in the vocabulary. A character without a piece becomes its bytes. It belongs to its model and is never fitted.

Source: Sennrich, Haddow & Birch, arXiv:1508.07909, algorithm 1, by scores as in Kudo & Richardson, SentencePiece, arXiv:1808.06226.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers import starts
from tunesmith.records import DataError

FILE = "tokenizer.json"
FIELDS = ("pieces", "scores", "bos_id", "eos_id")
MARKS = {"bos_token": "<s>", "eos_token": "</s>"}  # how `engine_of` spells begin and end


class Pieces:
    """Text to the numbers of pieces and back; `begin` stands before a text of its own, `end` after it.

    >>> tokenizer = Pieces(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), " a", " ", "a"], [0.0] * 262, begin=1, end=2)
    >>> tokenizer.encode(["a!"])[0].tolist(), tokenizer.decode([259, 36])
    ([259, 36], 'a!')
    """

    kind: ClassVar[str] = "pieces"

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], *, begin: int, end: int) -> None:
        self.pieces, self.scores, self.begin, self.end = tuple(pieces), tuple(scores), begin, end
        self._numbers = {piece: number for number, piece in enumerate(self.pieces)}
        self._bytes = {self._numbers[name]: byte for byte in range(256) if (name := f"<0x{byte:02X}>") in self._numbers}
        self._of_byte = {byte: number for number, byte in self._bytes.items()}

    @classmethod
    def from_folder(cls, folder: str | Path) -> Self:
        """The tokenizer of a model's folder. Raises `DataError` where there is none of this kind."""
        file = Path(folder).expanduser() / FILE
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(
                f"{file.parent} holds no {FILE}; expected the folder of a model with its tokenizer"
            ) from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(f"{file} is no JSON ({error}); copy it again") from error
        if not is_pieces(plain):
            raise DataError(
                f"{file} is no table of pieces with scores (it lacks one of {', '.join(FIELDS)}); a tokenizer of Transformers is read with the "
                "extra text"
            )
        if len(plain["pieces"]) != len(plain["scores"]):
            raise DataError(
                f"{file} has {len(plain['pieces'])} pieces and {len(plain['scores'])} scores; copy it again"
            )
        return cls(plain["pieces"], plain["scores"], begin=plain["bos_id"], end=plain["eos_id"])

    @property
    def vocabulary(self) -> int:
        return len(self.pieces)

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of all texts in a row, int32 (total,), and where each begins; neither `begin` nor `end` is added."""
        rows = [self._encoded(text) for text in texts]
        return np.fromiter((token for row in rows for token in row), np.int32), starts(map(len, rows))

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of one row; the marks of begin and end are left out, and bytes that are no UTF-8 are shown as U+FFFD."""
        held = bytearray()
        for token in tokens:
            if token in (self.begin, self.end):
                continue
            held += bytes([self._bytes[token]]) if token in self._bytes else self.pieces[token].encode()
        return held.decode("utf-8", "replace").removeprefix(" ")

    def to_json(self) -> dict[str, Any]:
        marks = {"bos_id": self.begin, "eos_id": self.end}
        return {"kind": self.kind, "pieces": list(self.pieces), "scores": list(self.scores), **marks}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(plain["pieces"], plain["scores"], begin=plain["bos_id"], end=plain["eos_id"])

    def _encoded(self, text: str) -> list[int]:
        if not text:
            return []
        row = [number for character in f" {text}" for number in self._of_character(character)]
        while True:
            joined = [self._numbers.get(self.pieces[one] + self.pieces[two]) for one, two in pairwise(row)]
            known = [(self.scores[number], -place) for place, number in enumerate(joined) if number is not None]
            if not known:
                return row
            place = -max(known)[1]
            number = joined[place]
            assert number is not None
            row[place : place + 2] = [number]

    def _of_character(self, character: str) -> list[int]:
        if character in self._numbers:
            return [self._numbers[character]]
        return [self._of_byte.get(byte, 0) for byte in character.encode()]


def engine_of(tokenizer: Pieces) -> Any:
    """The same as an engine of the library `tokenizers`, which gives places in the text too, with `MARKS` for begin and end.

    A joined piece may be made of several pairs; each is a merge here, ordered by the score of what comes out.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    vocabulary = dict(tokenizer._numbers)
    marks = {MARKS["bos_token"]: tokenizer.begin, MARKS["eos_token"]: tokenizer.end}
    for mark, number in marks.items():
        del vocabulary[tokenizer.pieces[number]]
        vocabulary[mark] = number
    ranked = sorted(
        (-tokenizer.scores[number], number, cut)
        for piece, number in vocabulary.items()
        if number not in tokenizer._bytes and piece not in marks
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    )
    merges = [(tokenizer.pieces[number][:cut], tokenizer.pieces[number][cut:]) for _, number, cut in ranked]
    engine = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=tokenizer.pieces[0], byte_fallback=True, fuse_unk=False)
    )
    engine.normalizer = normalizers.Prepend(" ")
    engine.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    engine.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return engine


def holds_pieces(folder: Path) -> bool:
    """Whether a folder has a tokenizer of this kind; False for a file that cannot be read, whose reader says why."""
    try:
        return is_pieces(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False


def is_pieces(plain: Any) -> bool:
    """Whether a tokenizer's JSON is of this kind."""
    return isinstance(plain, dict) and all(field in plain for field in FIELDS)
