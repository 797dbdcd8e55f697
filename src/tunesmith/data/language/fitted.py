"""Our own tokenizers as a codec: im_start and im_end stand behind the vocabulary, so that no text can spell them.

A turn is `<|im_start|>role⏎ text <|im_end|>⏎`, the layout of ChatML (OpenAI, chat markup language, 2023). Of a turn that trains,
the text and `<|im_end|>` do; role, line breaks and `<|im_start|>` never. The end-of-text token closes a sample and trains where
its last turn does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tunesmith.data.language.codec import Encoded, Growing
from tunesmith.data.language.samples import SPEAKERS, Sample, Turn
from tunesmith.data.spec import Array
from tunesmith.data.text import whole
from tunesmith.data.tokenizers import END, PADDING, TOKENIZERS, Tokenizer, from_json
from tunesmith.data.tokenizers.pieces import Pieces

STARTS, ENDS, CLOSES = "<|im_start|>", "<|im_end|>", "<|end_of_text|>"
TOOLS = "Tools that can be called, as JSON:\n"


@dataclass(frozen=True, slots=True)
class Marks:
    """The tokens around what is said."""

    begins: tuple[int, ...]  # before a sample
    starts: tuple[int, ...]  # before the name of a role
    closes_turn: int
    closes_text: int
    padding: int
    vocabulary: int


class FittedCodec:
    """A tokenizer of ours, and marks: two tokens more than it has; of a model's own pieces the end of text, and im_start spelt."""

    kind: ClassVar[str] = "fitted"

    def __init__(self, tokenizer: Tokenizer | Pieces, *, end_of_text: bool) -> None:
        self.tokenizer = tokenizer
        self.end_of_text = end_of_text
        self.name = f"{tokenizer.kind} tokens"
        self.marks = _marks(tokenizer)
        self.padding = self.marks.padding
        self.ends: Collection[int] = frozenset((self.marks.closes_turn, self.marks.closes_text))
        self.notices: tuple[str, ...] = ()
        if isinstance(tokenizer, Pieces):
            self.notices = (
                "the tokenizer has no chat template: our layout is used, <|im_start|> spelt in pieces and its end token after each turn",
            )

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
        return self.marks.vocabulary

    def encode(self, samples: Sequence[Sample], trains: Collection[str]) -> list[Encoded]:
        pieces = whole([piece for sample in samples for piece in _pieces(sample)])
        values, offsets = self.tokenizer.encode(pieces)
        coded = iter([values[offsets[place] : offsets[place + 1]] for place in range(len(pieces))])
        return [self._of(sample, coded, trains) for sample in samples]

    def _of(self, sample: Sample, coded: Iterator[Array], trains: Collection[str]) -> Encoded:
        growing, last, marks = Growing(), not sample.turns, self.marks
        growing.add(marks.begins, sample.turns[0].role if sample.turns else "text", trained=False)
        if not sample.turns:
            growing.add(next(coded), "text", trained=True)
        for turn in with_tools(sample):
            last = turn.trains and turn.role in trains
            growing.add(marks.starts, turn.role, trained=False)
            growing.add(next(coded), turn.role, trained=False)
            growing.add(next(coded), turn.role, trained=last)
            growing.add([marks.closes_turn], turn.role, trained=last)
            growing.add(next(coded), turn.role, trained=False)
        if self.end_of_text and not (sample.turns and marks.closes_turn == marks.closes_text):
            growing.add([marks.closes_text], sample.turns[-1].role if sample.turns else "text", trained=last)
        return growing.done()

    def decode(self, tokens: Iterable[int]) -> str:
        told, run = [], list[int]()
        spelt = {self.marks.closes_text: CLOSES, self.marks.closes_turn: ENDS}
        if self.marks.closes_turn == self.marks.closes_text:
            spelt = {self.marks.closes_text: "</s>"}
        else:
            spelt[self.marks.starts[0]] = STARTS
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
        held = plain["tokenizer"]
        known = Pieces.from_json(held) if held["kind"] == Pieces.kind else from_json(held)
        return cls(known, end_of_text=plain["end_of_text"])


def _marks(tokenizer: Tokenizer | Pieces) -> Marks:
    if isinstance(tokenizer, Pieces):  # its model has no room for more tokens
        starts, _ = tokenizer.encode([STARTS])
        end = tokenizer.end
        return Marks((tokenizer.begin,), tuple(starts.tolist()), end, end, PADDING, tokenizer.vocabulary)
    start = tokenizer.vocabulary
    return Marks((), (start,), start + 1, END, PADDING, start + 2)


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
