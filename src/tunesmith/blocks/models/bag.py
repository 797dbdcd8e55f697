"""Bag of tokens and n-grams: the pooled embeddings of a text, then a linear classifier, or a small MLP.

Joulin et al., Bag of Tricks for Efficient Text Classification, arXiv:1607.01759, section 2, with the n-grams hashed into
their own part of the table.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.models import DEFAULTS, MODELS, Spec, batch_for, epochs_for, settle, start
from tunesmith.blocks.models.inputs import Columns, finish, named, require
from tunesmith.blocks.models.mlp import plain_layers
from tunesmith.blocks.models.ngrams import BUCKETS, with_ngrams
from tunesmith.records import Recipe


class Bag(nn.Module):
    """Tokens (N, L), and the columns beside them, to (N, outputs). The order of tokens counts only inside an n-gram."""

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen = recipe.model
        tokens = spec["tokens"]
        size, width, dropout = int(chosen.embedding_dim), int(chosen.width), float(chosen.dropout)
        self.spec, self.kind = dict(spec), kind
        self.vocabulary, self.padding = int(tokens.vocabulary), int(tokens.padding)
        self.longest = max(1, int(recipe.data.ngrams))
        self.table = nn.Embedding(self.vocabulary + (BUCKETS if self.longest > 1 else 0), size)
        self.pool = layers.pooling(chosen.pooling, size)
        self.columns = Columns(spec)
        self.dropout = nn.Dropout(dropout)
        widths = [size + self.columns.width] + [width] * (int(chosen.depth) - 1)  # the embedding is the first layer
        self.trunk = plain_layers(widths, chosen)
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        parts = named(inputs, self.spec)
        tokens = parts["tokens"].long()
        indices, real = tokens, tokens != self.padding
        if self.longest > 1:
            indices, real = with_ngrams(tokens, self.longest, vocabulary=self.vocabulary, padding=self.padding)
        if (
            self.training
        ):  # whole tokens and n-grams are dropped: Iyyer et al., Deep Averaging Networks, ACL 2015, section 3.1
            real = self.dropout(real.to(self.head.weight.dtype)) > 0
        text = self.pool(self.table(indices), real)
        if self.columns.width:
            text = torch.cat([text, self.columns(parts, text.dtype)], 1)
        return finish(self.head(self.trunk(text)), self.kind)


@MODELS.add("bag")
def bag(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require("bag", spec, takes=("tokens", "numbers", "categories"), needs=("tokens",))
    settled = settle(recipe, "bag", spec)
    net = Bag(spec, outputs, kind, settled)
    start(net, settled.model.init, settled.model.activation)
    layers.norm_weights(net.trunk, settled.model.norm)
    return net


@DEFAULTS.add("bag")
def bag_defaults(spec: Spec, rows: int) -> dict[str, Any]:
    batch = batch_for(rows, 64)
    return {
        "model.width": 64,
        "model.depth": 1,  # measured: docs/log.md, defaults; a hidden layer gains nothing
        "model.embedding_dim": 32,  # measured: as good as 64, half the time
        "model.pooling": "mean",  # measured: max loses 0.1 of accuracy on topics, attention gains nothing
        "model.dropout": 0.2,  # of the set that was measured
        "model.activation": "relu",
        "model.norm": "none",
        "model.init": "auto",
        "data.ngrams": 2,  # measured: 3 gains nothing, in words or in Chinese characters, and takes twice the time
        "optim.name": "adamw",
        "optim.lr": 1e-2,  # measured: 3e-3 needs twice the epochs
        "optim.weight_decay": 0.0,  # measured: decay of the embeddings gains nothing
        "schedule.name": "cosine",
        "schedule.warmup": "0.05dur",  # of the set that was measured; the rule for a small MLP is none
        "train.batch_size": batch,
        "train.epochs": epochs_for(rows, batch, updates=600, least=5, most=30),
    }
