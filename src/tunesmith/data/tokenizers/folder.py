"""The tokenizer of a trained encoder, from a local folder, for texts beside a target: nothing is fitted, nothing is fetched.

It belongs to weights that were trained with it (`model.pretrained`). A text gets the marks that the tokenizer sets around it, such as [CLS]
and [SEP].
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.tokenizers import PADDING, starts
from tunesmith.records import DataError

CONFIG = "tokenizer_config.json"
UNKNOWNS = ("[UNK]", "<unk>")


class FolderTokens:
    """Text to tokens by an engine of the library `tokenizers`; `unknown` is the token of what its vocabulary lacks."""

    kind: ClassVar[str] = "folder"

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        found = (engine.token_to_id(token) for token in UNKNOWNS)
        self.unknown = next((token for token in found if token is not None), -1)

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Raises `DataError` for a folder without a tokenizer, and for one that pads with another number than 0."""
        from tunesmith.data.language.folder import opened

        place = Path(folder).expanduser()
        engine = opened(place)
        padding = _padding(place, engine)
        if padding != PADDING:
            said = "names no pad token" if padding is None else f"pads with token {padding}"
            raise DataError(
                f"the tokenizer in {place} {said}, and rows of text beside a target are padded with 0; use it with kind 'language', or a model "
                "whose pad token is 0, as BERT's"
            )
        return cls(engine)

    @property
    def vocabulary(self) -> int:
        return 1 + int(max(self._engine.get_vocab(with_added_tokens=True).values()))

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """The tokens of all texts in a row, and where each begins."""
        rows = [coded.ids for coded in self._engine.encode_batch_fast(list(texts))]
        offsets = starts(map(len, rows))
        return np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])), offsets

    def decode(self, tokens: Iterable[int]) -> str:
        return str(self._engine.decode([token for token in tokens if token != PADDING], skip_special_tokens=False))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokenizer": json.loads(self._engine.to_str())}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(json.dumps(plain["tokenizer"])))


def _padding(place: Path, engine: Any) -> int | None:
    """The number of the pad token, by the tokenizer's own settings or as BERT calls it."""
    file = place / CONFIG
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    named = settings.get("pad_token") or "[PAD]"
    number = engine.token_to_id(named["content"] if isinstance(named, Mapping) else named)
    return None if number is None else int(number)
