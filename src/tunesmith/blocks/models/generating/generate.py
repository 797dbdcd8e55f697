"""Continuing prompts with a language model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from tunesmith.blocks.layers.cache import Cache
from tunesmith.blocks.models.decoder import Decoder
from tunesmith.blocks.models.generating.choosing import Choosing
from tunesmith.records import ModelError


@dataclass(frozen=True, slots=True)
class Continued:
    """What came after a prompt: its tokens, a stop token last where one came."""

    tokens: tuple[int, ...]
    stopped: bool  # by a stop token; else by the number of tokens


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    longest: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Collection[int] = (),
    seed: int = 0,
    cache: bool = True,
) -> list[Continued]:
    """At most `longest` further tokens of each prompt, until a token of `stop`; the model is left in the mode it was in.

    Prompts of several lengths go together, with padding at the left. Row i draws with the seed `seed + i`, so that it gets the same
    tokens alone. With a decoder of ours keys and values are kept (`cache`); another model, which gives logits (1, L, V) or something with
    `logits` for tokens (1, L), reads each row whole for every token. Raises `ModelError` for prompts or settings that cannot be.
    """
    rows = [list(prompt) for prompt in prompts]
    _check(model, rows, longest)
    choosing = Choosing(temperature, top_k, top_p)
    writing = [_Row(row, Generator().manual_seed(seed + number)) for number, row in enumerate(rows)]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            if isinstance(model, Decoder) and rows:
                _together(model, writing, longest, choosing, frozenset(stop), cache)
            else:
                for row in writing:
                    _alone(model, row, longest, choosing, frozenset(stop))
    finally:
        model.train(was_training)
    return [Continued(tuple(row.new), row.stopped) for row in writing]


@dataclass(slots=True)
class _Row:
    """A prompt and what has come after it."""

    prompt: list[int]
    generator: Generator
    new: list[int]
    stopped: bool

    def __init__(self, prompt: list[int], generator: Generator) -> None:
        self.prompt, self.generator, self.new, self.stopped = prompt, generator, [], False

    def take(self, logits: Tensor, choosing: Choosing, stop: Collection[int]) -> None:
        if not self.stopped:
            self.new.append(choosing.token(logits, self.generator))
            self.stopped = self.new[-1] in stop


def _together(
    model: Decoder, rows: Sequence[_Row], longest: int, choosing: Choosing, stop: Collection[int], cached: bool
) -> None:
    device = model.table.weight.device
    widest = max(len(row.prompt) for row in rows)
    cache = model.new_cache(len(rows), widest + longest) if cached else None
    for count in range(longest):
        if cache is None or not count:
            inputs = _padded([[*row.prompt, *_filled(row, count)] for row in rows], device)
        else:
            inputs = {"tokens": torch.tensor([_filled(row, count)[-1:] for row in rows], device=device)}
        logits = _last(model, inputs, cache)
        for row, one in zip(rows, logits, strict=True):
            row.take(one, choosing, stop)
        if all(row.stopped for row in rows):
            return


def _filled(row: _Row, count: int) -> list[int]:
    """The new tokens, and after a stop the stop token again: the row keeps its place in the batch, and nothing of it is read."""
    return row.new + row.new[-1:] * (count - len(row.new))


def _last(model: Decoder, inputs: Mapping[str, Tensor], cache: Cache | None) -> Tensor:
    """The logits after the last token of each row. Shape: (N, V)."""
    x = model.trunk(inputs["tokens"], inputs.get("segments"), cache=cache)[:, -1]
    logits: Tensor = model.head(model.norm(x))
    return logits


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> dict[str, Tensor]:
    """Rows of one length with padding at the left, and which of their places are real; without the latter where all are."""
    widest = max(map(len, rows))
    tokens = torch.tensor([[0] * (widest - len(row)) + list(row) for row in rows], device=device)
    if all(len(row) == widest for row in rows):
        return {"tokens": tokens}
    real = torch.tensor([[0] * (widest - len(row)) + [1] * len(row) for row in rows], device=device)
    return {"tokens": tokens, "segments": real}


def _alone(model: nn.Module, row: _Row, longest: int, choosing: Choosing, stop: Collection[int]) -> None:
    device = next((one.device for one in model.parameters()), torch.device("cpu"))
    while len(row.new) < longest and not row.stopped:
        logits = _logits(model(torch.tensor([row.prompt + row.new], device=device)), model)
        row.take(logits[0, -1], choosing, stop)


def _logits(result: Any, model: nn.Module) -> Tensor:
    found = result if isinstance(result, Tensor) else getattr(result, "logits", None)
    if not isinstance(found, Tensor) or found.dim() != 3:
        raise ModelError(
            f"the {type(model).__name__} gave no logits (1, length, vocabulary) for tokens (1, length), so it cannot continue a text; give a "
            "language model"
        )
    return found


def _check(model: nn.Module, rows: Sequence[Sequence[int]], longest: int) -> None:
    if longest < 1:
        raise ModelError(f"longest = {longest}; expected how many tokens may come, 1 or more")
    if isinstance(model, Decoder) and not model.predicts_tokens:
        raise ModelError(
            f"this decoder was built for kind {model.kind!r} and predicts no tokens; build it with kind 'language'"
        )
    for number, row in enumerate(rows):
        if not row:
            raise ModelError(f"prompt {number} has no tokens; begin it with the token that begins a text")
        if isinstance(model, Decoder) and not all(0 <= token < model.vocabulary for token in row):
            wrong = next(token for token in row if not 0 <= token < model.vocabulary)
            raise ModelError(
                f"prompt {number} holds token {wrong}, and the table has {model.vocabulary} tokens; use the tokenizer of this model"
            )
