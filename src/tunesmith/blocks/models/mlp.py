"""Multilayer perceptron for tables, with embeddings of categories and, where wished, residual blocks.

plain     x <- dropout(act(norm(W x + b))), `depth` times
residual  x <- x + dropout(V act(W norm(x) + b) + c), `depth` times, then act(norm(x));
          Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, arXiv:2106.11959, section 3.3
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.models import DEFAULTS, MODELS, Spec, batch_for, epochs_for, settle, start
from tunesmith.blocks.models.inputs import Columns, finish, named, require
from tunesmith.records import Recipe
from tunesmith.records.sections import ModelSection


class ResidualBlock(nn.Module):
    """Pre-norm block with a hidden layer of the same width. Shape: (N, width) -> (N, width)."""

    def __init__(self, width: int, chosen: ModelSection) -> None:
        super().__init__()
        self.norm = layers.norm_slot(chosen.norm, width)
        self.expand = nn.Linear(width, width)
        self.activation = layers.activation(chosen.activation)
        self.contract = nn.Linear(width, width)
        self.dropout = nn.Dropout(float(chosen.dropout))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.expand(self.norm(x))))
        change: Tensor = self.dropout(self.contract(hidden))
        return x + change


class MLP(nn.Module):
    """Columns of a table, or arrays flattened, to (N, outputs)."""

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen = recipe.model
        width, depth = int(chosen.width), int(chosen.depth)
        self.spec, self.kind = dict(spec), kind
        self.columns = Columns(spec, chosen.embedding_dim)
        if chosen.residual:
            blocks = [ResidualBlock(width, chosen) for _ in range(depth)]
            last = [layers.norm_slot(chosen.norm, width), layers.activation(chosen.activation)]
            self.trunk = nn.Sequential(nn.Linear(self.columns.width, width), *blocks, *last)
        else:
            self.trunk = plain_layers([self.columns.width] + [width] * depth, chosen)
        self.head = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        x = self.columns(named(inputs, self.spec), self.head.weight.dtype)
        return finish(self.head(self.trunk(x)), self.kind)


def plain_layers(widths: Sequence[int], chosen: ModelSection) -> nn.Sequential:
    """Hidden layers from each width to the next: linear, norm, activation, dropout."""
    parts = (
        (
            nn.Linear(before, after),
            layers.norm_slot(chosen.norm, after),
            layers.activation(chosen.activation),
            nn.Dropout(float(chosen.dropout)),
        )
        for before, after in pairwise(widths)
    )
    return nn.Sequential(*(nn.Sequential(*layer) for layer in parts))


@MODELS.add("mlp")
def mlp(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require(
        "mlp", spec, takes=("numbers", "categories", "x", "pictures"), needs=("numbers", "categories", "x", "pictures")
    )
    settled = settle(recipe, "mlp", spec)
    net = MLP(spec, outputs, kind, settled)
    start(net, settled.model.init, settled.model.activation)
    layers.norm_weights(net.trunk, settled.model.norm)
    return net


@DEFAULTS.add("mlp")
def mlp_defaults(spec: Spec, rows: int) -> dict[str, Any]:
    # measured: docs/log.md, defaults, on six tables of 3,000 to 33,000 rows, numbers in piecewise linear encoding
    batch = batch_for(rows, 256 if rows < 200_000 else 1024)
    return {
        "model.width": 256,  # measured: 128 loses 0.005 of R² and of ROC-AUC on the larger tables
        "model.depth": 2,  # measured with the residual blocks: docs/log.md, defaults
        "model.residual": True,  # measured: gains 0.002 of ROC-AUC, 0.004 of R² over the plain net
        "model.dropout": 0.2,  # measured: 0.3 loses 0.02 of R²; 0.1 is as good on large tables, worse on small ones
        "model.activation": "relu",
        "model.norm": "layer",
        "model.init": "default",  # measured: He's normal init loses 0.01 to 0.03 of R²
        "optim.name": "adamw",
        "optim.lr": 2e-3,  # measured: 1e-3 to 2e-3 equal within the noise
        "optim.weight_decay": 0.01,  # measured: 0.1 and 0.3 change nothing
        "schedule.name": "cosine",
        "schedule.warmup": "0.05dur",  # of the set that was measured; the rule for a small MLP is none
        "train.batch_size": batch,
        "train.epochs": epochs_for(rows, batch, updates=1500, least=8, most=40),
    }
