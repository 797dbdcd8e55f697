"""Causal transformer: a language model, or a classifier of what its last token has seen.

    x_0 = table[tokens] (+ positions);  x <- x + attention(norm(x)),  x <- x + feed_forward(norm(x));  logits = head(norm(x))

Llama's choices by default: Touvron et al., arXiv:2302.13971, section 2.2 (RMSNorm before each part, SwiGLU, rotary positions, no biases);
with model.norm = "layer", model.gated = false, model.activation = "gelu", model.positions = "learnt" those of GPT-2, without its biases.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.layers.attention import SelfAttention
from tunesmith.blocks.layers.cache import Cache
from tunesmith.blocks.layers.feed_forward import FeedForward, hidden_width
from tunesmith.blocks.layers.rotary import Angles, rotary_angles
from tunesmith.blocks.layers.segments import places_within, segment_mask
from tunesmith.blocks.models import DEFAULTS, MODELS, Spec, batch_for, epochs_for, settle, start
from tunesmith.blocks.models.blocks import (
    check_heads,
    check_length,
    context_of,
    key_heads,
    norm_of,
    start_small,
    through,
)
from tunesmith.blocks.models.inputs import Columns, finish, named, require
from tunesmith.records import ModelError, Recipe
from tunesmith.records.sections import ModelSection

TAKES = ("tokens", "segments", "positions", "numbers", "categories")


class Block(nn.Module):
    """x <- x + attention(norm(x)), then x <- x + feed_forward(norm(x)). Shape: (N, L, width) -> (N, L, width)."""

    def __init__(self, chosen: ModelSection) -> None:
        super().__init__()
        width, gated = int(chosen.width), bool(chosen.gated)
        hidden = hidden_width(width, gated=gated) if chosen.feed_forward == "auto" else int(chosen.feed_forward)
        self.attention_norm = norm_of(chosen)
        self.attention = SelfAttention(width, int(chosen.heads), key_heads(chosen), causal=True, bias=False)
        self.norm = norm_of(chosen)
        self.feed_forward = FeedForward(width, hidden, chosen.activation, gated=gated, bias=False)
        self.dropout = nn.Dropout(float(chosen.dropout))

    def forward(
        self, x: Tensor, mask: Tensor | None, angles: Angles | None, cache: tuple[Cache, int] | None = None
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, angles, cache))
        change: Tensor = self.dropout(self.feed_forward(self.norm(x)))
        return x + change


class Decoder(nn.Module):
    """Tokens (N, L) to logits (N, L, outputs) of the token after each; for every other kind of task to (N, outputs).

    Beside the tokens may come `segments` (N, L): a place sees those of its own number alone, and positions begin anew with each, so that
    several samples share a row, or padding stands at the left; and `positions` (N, L), where they are others. Padding at the right
    needs neither, for nothing real comes after it. `cache`: of the tokens read before (`new_cache`); `segments` are then 0 for padding.
    """

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen, tokens = recipe.model, spec["tokens"]
        width, depth = int(chosen.width), int(chosen.depth)
        self.spec, self.kind, self.padding = dict(spec), kind, int(tokens.padding)
        self.vocabulary, self.recompute = int(tokens.vocabulary), chosen.recompute
        self.kv_heads, self.head_size = key_heads(chosen), width // int(chosen.heads)
        self.rotary = None if chosen.positions == "learnt" else float(chosen.rotary_base)
        self.table = nn.Embedding(self.vocabulary, width)
        self.places = None if self.rotary else nn.Embedding(context_of(chosen, int(tokens.length)), width)
        self.dropout = nn.Dropout(float(chosen.dropout))
        self.blocks = nn.ModuleList(Block(chosen) for _ in range(depth))
        self.norm = norm_of(chosen)
        self.predicts_tokens = kind == "language"
        self.pool = None if self.predicts_tokens else layers.pooling(chosen.pooling, width)
        self.columns = None if self.predicts_tokens else Columns(spec)
        self.head = nn.Linear(
            width + (0 if self.columns is None else self.columns.width), outputs, bias=not self.predicts_tokens
        )
        start_small(self, depth, ("attention.join.weight", "feed_forward.contract.weight"))
        if self.predicts_tokens and chosen.tied:
            self.head.weight = self.table.weight

    def forward(self, inputs: Tensor | Mapping[str, Tensor], cache: Cache | None = None) -> Tensor:
        parts = {"tokens": inputs} if isinstance(inputs, Tensor) else named(inputs, self.spec)
        tokens = parts["tokens"].long()
        x = self.norm(self.trunk(tokens, parts.get("segments"), parts.get("positions"), cache))
        if self.pool is None or self.columns is None:
            logits: Tensor = self.head(x)
            return logits
        text = self.pool(x, tokens != self.padding)
        if self.columns.width:
            text = torch.cat([text, self.columns(parts, text.dtype)], 1)
        return finish(self.head(text), self.kind)

    def trunk(
        self,
        tokens: Tensor,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """What the blocks make of the tokens, before the last norm. Shape: (N, L) -> (N, L, width)."""
        mask = None if segments is None else segment_mask(segments, causal=True)
        if positions is None and segments is not None:
            positions = places_within(segments)
        if cache is not None:
            mask = cache.read(torch.ones_like(tokens, dtype=torch.bool) if segments is None else segments != 0)
            positions = cache.positions() if tokens.shape[1] < cache.filled else positions
        longest = tokens.shape[1] if positions is None else None
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
        x: Tensor = self.table(tokens)
        angles = None
        if self.rotary is not None:
            angles = rotary_angles(positions, self.head_size, self.rotary, x.dtype)
        elif self.places is not None:
            check_length("decoder", longest or int(positions.max()) + 1, self.places.num_embeddings)
            x = x + self.places(positions)
        x = self.dropout(x)
        for number, block in enumerate(self.blocks):
            held = () if cache is None else ((cache, number),)
            x = through(block, self.recompute and self.training, x, mask, angles, *held)
        return x

    def new_cache(self, rows: int, longest: int) -> Cache:
        """Room for the keys and values of so many rows and tokens, on the device of the weights."""
        like = self.table.weight.detach()
        return Cache.empty(rows, longest, blocks=len(self.blocks), heads=self.kv_heads, size=self.head_size, like=like)


@MODELS.add("decoder")
def decoder(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require("decoder", spec, takes=TAKES, needs=("tokens",))
    settled = settle(recipe, "decoder", spec)
    chosen = settled.model
    check_heads("decoder", chosen, rotary=chosen.positions != "learnt")
    if kind == "language" and chosen.tied and outputs != int(spec["tokens"].vocabulary):
        raise ModelError(
            f"model.tied gives the head the {spec['tokens'].vocabulary} rows of the table of tokens, and {outputs} outputs are wanted; set "
            "model.tied = false"
        )
    net = Decoder(spec, outputs, kind, settled)
    start(net, chosen.init, chosen.activation)
    layers.norm_weights(net.blocks, chosen.norm)
    return net


@DEFAULTS.add("decoder")
def decoder_defaults(spec: Spec, rows: int) -> dict[str, Any]:
    batch = batch_for(rows, 32)
    return {
        "model.width": 128,
        "model.depth": 4,
        "model.heads": 4,
        "model.gated": True,  # LLaMA, arXiv:2302.13971, section 2.2; so are positions, base, norm and activation
        "model.activation": "silu",
        "model.positions": "rotary",
        "model.rotary_base": 10_000.0,
        "model.norm": "rms",
        "model.norm_eps": 1e-5,
        "model.tied": True,  # Press & Wolf, arXiv:1608.05859: fewer numbers, and no worse in small models
        "model.pooling": "last",
        "model.dropout": 0.0,
        "model.init": "default",  # GPT-2's, in `start_small`
        "optim.name": "adamw",
        "optim.lr": 1e-3,
        "optim.beta2": 0.95,  # LLaMA, section 2.3; so are decay, clipping and the floor
        "optim.weight_decay": 0.1,
        "optim.clip_norm": 1.0,
        "schedule.name": "cosine",
        "schedule.warmup": "0.05dur",
        "schedule.floor": 0.1,
        "train.batch_size": batch,
        "train.epochs": epochs_for(rows, batch, updates=1000, least=2, most=30),
    }
