"""Our own tokenizers as a codec: im_start and im_end stand behind the vocabulary, so that no text can spell them.

A turn is `<|im_start|>role⏎ text <|im_end|>⏎`, the layout of ChatML (OpenAI, chat markup language, 2023). Of a turn that trains,
the text and `<|im_end|>` do; role, line breaks and `<|im_start|>` never. The end-of-text token closes a sample and trains where
its last turn does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from tunesmith.data.language.codec import Encoded, Growing
from tunesmith.data.language.samples import SPEAKERS, Sample, Turn
from tunesmith.data.spec import Array
from tunesmith.data.text import whole
from tunesmith.data.tokenizers import END, PADDING, TOKENIZERS, Tokenizer, from_json

STARTS, ENDS, CLOSES = "<|im_start|>", "<|im_end|>", "<|end_of_text|>"
TOOLS = "Tools that can be called, as JSON:\n"


class FittedCodec:
    """A tokenizer of ours with two tokens more: im_start and im_end."""

    kind: ClassVar[str] = "fitted"

    def __init__(self, tokenizer: Tokenizer, *, end_of_text: bool) -> None:
        self.tokenizer = tokenizer
        self.end_of_text = end_of_text
        self.name = f"{tokenizer.kind} tokens"
        self.padding = PADDING
        self.starts, self.closes_turn = tokenizer.vocabulary, tokenizer.vocabulary + 1
        self.ends: Collection[int] = frozenset((END, self.closes_turn))
        self.notices: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, samples: Sequence[Sample], *, name: str, vocab_size: int, min_count: int, end_of_text: bool
    ) -> FittedCodec:
        """Learns the vocabulary from the training samples, the names of the roles included."""
        headers = [f"{role}\n" for role in SPEAKERS] * min_count
        texts = whole([sample.plainly() for sample in samples]) + headers
        return cls(TOKENIZERS[name].fit(texts, vocab_size=vocab_size, min_count=min_count), end_of_text=end_of_text)

    @property
    def vocabulary(self) -> int:
        return self.tokenizer.vocabulary + 2

    def encode(self, samples: Sequence[Sample], trains: Collection[str]) -> list[Encoded]:
        pieces = whole([piece for sample in samples for piece in _pieces(sample)])
        values, offsets = self.tokenizer.encode(pieces)
        coded = iter([values[offsets[place] : offsets[place + 1]] for place in range(len(pieces))])
        return [self._of(sample, coded, trains) for sample in samples]

    def _of(self, sample: Sample, coded: Iterator[Array], trains: Collection[str]) -> Encoded:
        growing, last = Growing(), not sample.turns
        if not sample.turns:
            growing.add(next(coded), "text", trained=True)
        for turn in with_tools(sample):
            last = turn.trains and turn.role in trains
            growing.add([self.starts], turn.role, trained=False)
            growing.add(next(coded), turn.role, trained=False)
            growing.add(next(coded), turn.role, trained=last)
            growing.add([self.closes_turn], turn.role, trained=last)
            growing.add(next(coded), turn.role, trained=False)
        if self.end_of_text and sample.ended:
            growing.add([END], sample.turns[-1].role if sample.turns else "text", trained=last)
        return growing.done()

    def decode(self, tokens: Iterable[int]) -> str:
        told, run = [], list[int]()
        spelt = {self.starts: STARTS, self.closes_turn: ENDS, END: CLOSES}
        for token in tokens:
            if token in spelt:
                told += [self.tokenizer.decode(run), spelt[token]]
                run = []
            else:
                run.append(token)
        return "".join((*told, self.tokenizer.decode(run)))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokenizer": self.tokenizer.to_json(), "end_of_text": self.end_of_text}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(from_json(plain["tokenizer"]), end_of_text=plain["end_of_text"])


def with_tools(sample: Sample) -> tuple[Turn, ...]:
    """The turns, what can be called told in the system's."""
    if not sample.tools or not sample.turns:
        return sample.turns
    first = sample.turns[0]
    if first.role == "system":
        return (Turn("system", f"{first.text}\n\n{TOOLS}{sample.tools}", first.trains), *sample.turns[1:])
    return (Turn("system", f"{TOOLS}{sample.tools}"), *sample.turns)


def _pieces(sample: Sample) -> Iterator[str]:
    """The texts that a sample needs the tokens of, in the order in which they are used."""
    if not sample.turns:
        yield sample.text
    for turn in with_tools(sample):
        yield from (f"{turn.role}\n", turn.text, "\n")
