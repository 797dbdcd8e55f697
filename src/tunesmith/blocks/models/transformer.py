"""Transformer encoder over tokens, pre-norm, with sinusoidal positions.

Vaswani et al., Attention Is All You Need, arXiv:1706.03762; norm before each part: Xiong et al., arXiv:2002.04745, fig. 1b.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.models import DEFAULTS, MODELS, Spec, batch_for, epochs_for, settle, start
from tunesmith.blocks.models.inputs import Columns, finish, named, require
from tunesmith.records import ModelError, Recipe
from tunesmith.records.sections import ModelSection

POSITION_NORMS = ("layer", "none", "rms", "weight")  # those that look at one position alone, or at none


class Attention(nn.Module):
    """softmax(Q Kᵀ / √d) V in each head, over positions with mask; eq. 1.

    Shape: (N, L, width), boolean mask (N, L) -> (N, L, width). A row without any real position sees all of them, so that
    it has no NaN; pooling leaves it out.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.project(x).chunk(3, -1)
        )
        score = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        seen = mask | ~mask.any(1, keepdim=True)
        share = self.dropout(score.masked_fill(~seen[:, None, None, :], -torch.inf).softmax(-1))
        joined: Tensor = self.join((share @ value).transpose(1, 2).flatten(2))
        return joined


class Block(nn.Module):
    """x <- x + attention(norm(x)), then x <- x + V act(W norm(x)). Shape: (N, L, width) -> (N, L, width)."""

    def __init__(self, chosen: ModelSection) -> None:
        super().__init__()
        width, heads, norm, dropout = int(chosen.width), int(chosen.heads), chosen.norm, float(chosen.dropout)
        self.attention_norm = layers.norm_slot(norm, width)
        self.attention = Attention(width, heads, dropout)
        self.norm = layers.norm_slot(norm, width)
        self.expand = nn.Linear(width, 4 * width)  # section 3.3: four times the model's dimension
        self.activation = layers.activation(chosen.activation)
        self.contract = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        hidden = self.dropout(self.activation(self.expand(self.norm(x))))
        change: Tensor = self.dropout(self.contract(hidden))
        return x + change


class Transformer(nn.Module):
    """Tokens (N, L), and the columns beside them, to (N, outputs)."""

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen = recipe.model
        tokens = spec["tokens"]
        size, width = int(chosen.embedding_dim), int(chosen.width)
        self.spec, self.kind, self.padding = dict(spec), kind, int(tokens.padding)
        self.table = nn.Embedding(int(tokens.vocabulary), size)
        # a factor of the table where sizes differ: ALBERT, arXiv:1909.11942, section 3.1
        self.widen = nn.Identity() if size == width else nn.Linear(size, width, bias=False)
        self.dropout = nn.Dropout(float(chosen.dropout))
        self.blocks = nn.ModuleList(Block(chosen) for _ in range(int(chosen.depth)))
        self.norm = layers.norm_slot(chosen.norm, width)
        self.pool = layers.pooling(chosen.pooling, width)
        self.columns = Columns(spec)
        self.head = nn.Linear(width + self.columns.width, outputs)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        parts = named(inputs, self.spec)
        tokens = parts["tokens"].long()
        mask = tokens != self.padding
        x = self.widen(self.table(tokens))
        x = self.dropout(x + sinusoids(x.shape[1], x.shape[2], x))
        for block in self.blocks:
            x = block(x, mask)
        text = self.pool(self.norm(x), mask)
        if self.columns.width:
            text = torch.cat([text, self.columns(parts, text.dtype)], 1)
        return finish(self.head(text), self.kind)


def sinusoids(length: int, width: int, like: Tensor) -> Tensor:
    """Positions as sines and cosines, section 3.5, the sines first. Shape: (length, width), dtype and device of `like`."""
    place = torch.arange(length, device=like.device, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=like.device, dtype=torch.float64) * (-math.log(10_000.0) / width))
    angle = place * rate
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width].to(like.dtype)


@MODELS.add("transformer")
def transformer(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require("transformer", spec, takes=("tokens", "numbers", "categories"), needs=("tokens",))
    settled = settle(recipe, "transformer", spec)
    _check(settled)
    net = Transformer(spec, outputs, kind, settled)
    start(net, settled.model.init, settled.model.activation)
    layers.norm_weights(net.blocks, settled.model.norm)
    return net


def _check(recipe: Recipe) -> None:
    width, heads, norm = recipe.model.width, recipe.model.heads, recipe.model.norm
    if int(width) % int(heads):
        raise ModelError(
            f"model.width = {width} is not a multiple of model.heads = {heads}; try model.heads = 4 and a width of 64, 128 or 256"
        )
    if norm in layers.NORMS and norm not in POSITION_NORMS:
        raise ModelError(
            f"the transformer normalises each position alone: model.norm {norm!r} cannot; try 'layer', 'rms', 'weight' or 'none'"
        )


@DEFAULTS.add("transformer")
def transformer_defaults(spec: Spec, rows: int) -> dict[str, Any]:
    # measured as a set, one seed: docs/log.md, defaults for text; the bound on the gradient is a rule of thumb, reg.clip
    batch = batch_for(rows, 64)
    return {
        "model.width": 128,
        "model.depth": 2,
        "model.heads": 4,
        "model.embedding_dim": 128,
        "model.pooling": "mean",
        "model.dropout": 0.2,
        "model.activation": "gelu",
        "model.norm": "layer",
        "model.init": "xavier_uniform",
        "optim.name": "adamw",
        "optim.lr": 1e-3,
        "optim.weight_decay": 0.01,
        "schedule.name": "cosine",
        "schedule.warmup": "0.1dur",
        "train.batch_size": batch,
        "train.epochs": epochs_for(rows, batch, updates=800, least=4, most=30),
    }
