"""Faults of sequences and of indices."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.records import Program
from tunesmith.testing.healthy.sequences import CausalBlock, LetterNet, TokenLoss
from tunesmith.testing.sabotage.catalogue import as_written, sabotage
from tunesmith.testing.sabotage.inputs import is_supervised
from tunesmith.testing.sabotage.tools import (
    after,
    at,
    changed,
    every,
    has_plain_optimizer,
    inputs_of,
    is_language,
    is_tokens,
    module_of,
    on_inputs,
    put,
    refitted,
)


def embeddings(program: Program) -> list[nn.Embedding]:
    return [each for each in program.model.modules() if isinstance(each, nn.Embedding)]


def has_cell(program: Program) -> bool:
    return any(isinstance(each, nn.LSTM | nn.GRU) and each.batch_first for each in program.model.modules())


def blocks(program: Program) -> list[CausalBlock]:
    return [each for each in program.model.modules() if isinstance(each, CausalBlock)]


@sabotage(
    "sees_all_places",
    "model.lookahead",
    mechanism="sequence",
    fits=every(is_language, lambda program: bool(blocks(program))),
    invariant=True,
    visible=True,
)
def sees_all_places(program: Program, strength: int) -> Program:
    """Attention without its mask: with it in the last block, in the first, in none."""
    found = blocks(program)
    for block in at(strength, found[:1], found[1:], found):
        block.causal = False
    return program


@sabotage(
    "reads_both_ways",
    "model.lookahead",
    mechanism="sequence",
    fits=every(is_language, lambda program: isinstance(program.model, LetterNet)),
    invariant=True,
)
def reads_both_ways(program: Program, strength: int) -> Program:
    """A recurrent layer over both directions predicts the next token."""

    @as_written("Recurrent")
    class Recurrent(nn.Module):
        def __init__(self, width: int, back: int) -> None:
            super().__init__()
            self.forth = nn.LSTM(width, width - back, batch_first=True)
            self.back = nn.LSTM(width, back, batch_first=True)

        def forward(self, x: Tensor) -> tuple[Tensor, None]:
            later = self.back(x.flip(1))[0].flip(1)
            return torch.cat([self.forth(x)[0], later], 2), None

    width = program.model.rnn.hidden_size
    program.model.rnn = Recurrent(width, at(strength, width // 8, width // 4, width // 2))
    return refitted(program)


@sabotage(
    "window_too_wide",
    "model.lookahead",
    mechanism="sequence",
    fits=every(is_language, lambda program: bool(embeddings(program))),
    invariant=True,
)
def window_too_wide(program: Program, strength: int) -> Program:
    """A mean over neighbours on both sides behind the embedding: one, two, three on each."""
    reach = at(strength, 1, 2, 3)

    def smooth(h: Tensor) -> Tensor:
        return h + functional.avg_pool1d(h.transpose(1, 2), 2 * reach + 1, 1, reach).transpose(1, 2)

    return after(program, embeddings(program)[0], module_of(smooth))


@sabotage(
    "target_not_shifted", "model.lookahead", "data.leakage", mechanism="sequence", fits=is_language, invariant=True
)
def target_not_shifted(program: Program, strength: int) -> Program:
    """Each token is its own target; half of the places, all; or the one before it."""

    def copy(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        if part == "test":
            return inputs, target
        own = torch.rand(target.shape) < at(strength, 0.5, 1.0, 0.0)
        earlier = inputs.roll(1, 1) if strength == 3 else target
        return inputs, torch.where(own, inputs, earlier)

    return changed(program, copy)


@sabotage(
    "batch_taken_for_time",
    "model.batch_leak",
    mechanism="sequence",
    fits=every(has_cell, is_supervised),
    invariant=True,
)
def batch_taken_for_time(program: Program, strength: int) -> Program:
    """A recurrent layer that runs along the batch."""
    for each in program.model.modules():
        if isinstance(each, nn.LSTM | nn.GRU):
            each.batch_first = False
    return program


@sabotage(
    "filling_counts",
    "loss.mismatch",
    "data.class_imbalance",
    mechanism="sequence",
    fits=lambda program: isinstance(program.loss_fn, TokenLoss),
    visible=False,
)
def filling_counts(program: Program, strength: int) -> Program:
    """What fills up short sequences counts in the loss, as a class: where there is some, more, much of it."""
    added = at(strength, 0, 40, 200)

    def fill(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        if part == "test":
            return inputs, target
        held = target.masked_fill(target == -100, 0)
        return functional.pad(inputs, (0, added)), functional.pad(held, (0, added))

    return changed(program, fill)


@sabotage(
    "words_beyond_table",
    "data.label_out_of_range",
    "run.crash",
    mechanism="indices",
    fits=every(is_tokens, lambda program: bool(embeddings(program))),
    invariant=True,
)
def words_beyond_table(program: Program, strength: int) -> Program:
    """Token indices that the embedding has no row for."""
    size = embeddings(program)[0].num_embeddings

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        count = at(strength, 1, round(0.001 * x.numel()) + 1, round(0.02 * x.numel()))
        x.view(-1)[torch.randperm(x.numel())[:count]] = size + 3
        return x

    return on_inputs(program, spoil, ("train",))


@sabotage(
    "words_below_zero",
    "data.label_out_of_range",
    "run.crash",
    mechanism="indices",
    fits=every(is_tokens, lambda program: bool(embeddings(program))),
    invariant=True,
)
def words_below_zero(program: Program, strength: int) -> Program:
    """Unknown tokens written as -1."""

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        count = at(strength, 1, round(0.001 * x.numel()) + 1, round(0.02 * x.numel()))
        x.view(-1)[torch.randperm(x.numel())[:count]] = -1
        return x

    return on_inputs(program, spoil, ("train",))


@sabotage(
    "places_beyond_table",
    "data.label_out_of_range",
    "run.crash",
    mechanism="indices",
    fits=every(is_language, has_plain_optimizer, lambda program: bool(blocks(program))),
    invariant=True,
)
def places_beyond_table(program: Program, strength: int) -> Program:
    """Sequences longer than the table of places: by one, by a quarter, by half."""
    length = inputs_of(program).shape[1]
    places = embeddings(program)[1]
    put(
        program.model,
        places,
        nn.Embedding(at(strength, length - 1, 3 * length // 4, length // 2), places.embedding_dim),
    )
    return refitted(program)


@sabotage(
    "tokens_shuffled", "data.no_signal", "data.poor_features", mechanism="sequence", fits=is_language, visible=False
)
def tokens_shuffled(program: Program, strength: int) -> Program:
    """Tokens of a text in disorder: some exchanged, most, all."""

    def mix(x: Tensor) -> Tensor:
        moved = torch.rand(x.shape) < at(strength, 0.2, 0.6, 1.0)
        order = torch.rand(x.shape).masked_fill(~moved, 2.0).argsort(1)
        return torch.where(moved, x.gather(1, order), x)

    return on_inputs(program, mix, ("train", "val"))
