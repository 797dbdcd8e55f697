"""Byte-pair encoding over bytes: frequent pairs are merged, nothing is unknown.

Sennrich, Haddow & Birch, arXiv:1508.07909, algorithm 1; on bytes as in Radford et al., Language Models are Unsupervised
Multitask Learners (2019), section 2.2. The merging is done by the `tokenizers` library.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers import RESERVED, TOKENIZERS, starts
from tunesmith.records import DataError

BYTES = 256
CHUNK = 10_000  # texts encoded at once: the library's objects for a token are large


@TOKENIZERS.add("bpe")
class Bpe:
    """Merged byte pairs. The reserved numbers are ours, so that a text which spells a special token stays text.

    >>> tokenizer = Bpe.fit(["low lower lowest"] * 9, vocab_size=300)
    >>> len(tokenizer.encode(["lowest low"])[0]) < 10, tokenizer.decode(tokenizer.encode(["lowest 慢"])[0])
    (True, 'lowest 慢')
    """

    kind: ClassVar[str] = "bpe"

    def __init__(self, pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        self.pieces = tuple(pieces)
        self.merges = tuple(merges)
        self._engine = _engine({piece: place for place, piece in enumerate(self.pieces)}, list(self.merges))

    @property
    def vocabulary(self) -> int:
        return RESERVED + len(self.pieces)

    @classmethod
    def fit(cls, texts: Sequence[str], *, vocab_size: int = 20_000, min_count: int = 2) -> Self:
        if vocab_size < RESERVED + BYTES:
            raise DataError(
                f"a vocabulary of {vocab_size} is too small for byte pairs, which begin with {RESERVED + BYTES} "
                "tokens; raise data.vocab_size or set data.tokenizer=char"
            )
        import json

        from tokenizers import pre_tokenizers, trainers

        engine = _engine({}, [])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - RESERVED,
            min_frequency=min_count,
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        engine.train_from_iterator(texts, trainer)
        model = json.loads(engine.to_str())["model"]
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return cls(pieces, [tuple(pair) for pair in model["merges"]])

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        rows: list[Sequence[int]] = []
        for first in range(0, len(texts), CHUNK):
            rows += [coded.ids for coded in self._engine.encode_batch_fast(list(texts[first : first + CHUNK]))]
        offsets = starts(map(len, rows))
        return np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])) + RESERVED, offsets

    def decode(self, tokens: Iterable[int]) -> str:
        return str(self._engine.decode([token - RESERVED for token in tokens if token >= RESERVED]))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "pieces": list(self.pieces), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(plain["pieces"], [(left, right) for left, right in plain["merges"]])


def _engine(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    # Its threads do not survive a fork; without a word from the user it complains in every data worker.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    engine = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    return engine
