"""Bidirectional transformer with learnt positions and the norm after each part, as BERT is built.

    x_0 = norm(table[tokens] + positions + types[0]);  x <- norm(x + attention(x)),  x <- norm(x + feed_forward(x));  head(pooled x)

Devlin et al., BERT, arXiv:1810.04805, section 3. Its weights fit (model.pretrained = a folder of such a model); from scratch the `transformer`,
with its norm before each part, learns sooner: Xiong et al., arXiv:2002.04745.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.layers.attention import SelfAttention
from tunesmith.blocks.layers.feed_forward import FeedForward, hidden_width
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
from tunesmith.records import Recipe
from tunesmith.records.sections import ModelSection


class Block(nn.Module):
    """x <- norm(x + attention(x)), then x <- norm(x + feed_forward(x)). Shape: (N, L, width) -> (N, L, width)."""

    def __init__(self, chosen: ModelSection) -> None:
        super().__init__()
        width, gated = int(chosen.width), bool(chosen.gated)
        hidden = hidden_width(width, gated=gated) if chosen.feed_forward == "auto" else int(chosen.feed_forward)
        self.attention = SelfAttention(width, int(chosen.heads), key_heads(chosen), causal=False, bias=True)
        self.attention_norm = norm_of(chosen)
        self.feed_forward = FeedForward(width, hidden, chosen.activation, gated=gated, bias=True)
        self.norm = norm_of(chosen)
        self.dropout = nn.Dropout(float(chosen.dropout))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        changed: Tensor = self.norm(x + self.dropout(self.feed_forward(x)))
        return changed


class Encoder(nn.Module):
    """Tokens (N, L), and the columns beside them, to (N, outputs)."""

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen, tokens = recipe.model, spec["tokens"]
        width, depth = int(chosen.width), int(chosen.depth)
        self.spec, self.kind, self.padding = dict(spec), kind, int(tokens.padding)
        self.recompute = chosen.recompute
        self.table = nn.Embedding(int(tokens.vocabulary), width)
        self.places = nn.Embedding(context_of(chosen, int(tokens.length)), width)
        self.types = nn.Embedding(1, width)  # of the first of two texts, section 3; there is one here
        self.embedding_norm = norm_of(chosen)
        self.dropout = nn.Dropout(float(chosen.dropout))
        self.blocks = nn.ModuleList(Block(chosen) for _ in range(depth))
        self.pool = layers.pooling(chosen.pooling, width)
        self.columns = Columns(spec)
        self.head = nn.Linear(width + self.columns.width, outputs)
        start_small(self, depth, ())  # a norm follows each branch: no scale of its own

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        parts = named(inputs, self.spec)
        text = self.embed(parts["tokens"])
        if self.columns.width:
            text = torch.cat([text, self.columns(parts, text.dtype)], 1)
        return finish(self.head(text), self.kind)

    def embed(self, tokens: Tensor) -> Tensor:
        """The pooled vector of each text. Shape: (N, L) -> (N, width)."""
        tokens = tokens.long()
        check_length("encoder", tokens.shape[1], self.places.num_embeddings)
        real = tokens != self.padding
        seen = (real | ~real.any(1, keepdim=True))[:, None, None]  # a text of padding alone sees all of it: no NaN
        place = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.table(tokens) + self.places(place) + self.types.weight[0]
        x = self.dropout(self.embedding_norm(x))
        mask = seen.expand(-1, -1, tokens.shape[1], -1)
        for block in self.blocks:
            x = through(block, self.recompute and self.training, x, mask)
        pooled: Tensor = self.pool(x, real)
        return pooled


@MODELS.add("encoder")
def encoder(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require("encoder", spec, takes=("tokens", "numbers", "categories"), needs=("tokens",))
    settled = settle(recipe, "encoder", spec)
    check_heads("encoder", settled.model)
    net = Encoder(spec, outputs, kind, settled)
    start(net, settled.model.init, settled.model.activation)
    layers.norm_weights(net.blocks, settled.model.norm)
    return net


@DEFAULTS.add("encoder")
def encoder_defaults(spec: Spec, rows: int) -> dict[str, Any]:
    batch = batch_for(rows, 64)
    return {
        "model.width": 128,
        "model.depth": 2,
        "model.heads": 4,
        "model.gated": False,
        "model.activation": "gelu",
        "model.norm": "layer",
        "model.norm_eps": 1e-12,  # of BERT's published configuration
        "model.pooling": "mean",
        "model.dropout": 0.1,  # BERT, appendix A.2
        "model.init": "default",  # BERT's, in `start_small`
        "optim.name": "adamw",
        "optim.lr": 5e-4,
        "optim.weight_decay": 0.01,  # BERT, appendix A.2
        "optim.clip_norm": 1.0,
        "schedule.name": "linear",
        "schedule.warmup": "0.1dur",
        "train.batch_size": batch,
        "train.epochs": epochs_for(rows, batch, updates=800, least=4, most=30),
    }
