"""Bidirectional LSTM over tokens. Hochreiter & Schmidhuber, 1997; with forget gates, Gers et al., 2000.

The recurrence is written out, because torch's fused one does not run under `vmap`; both directions go in one product.
    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b);  c <- f c + i g;  h <- o tanh(c)
A step over padding leaves h and c as they are.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.models import DEFAULTS, MODELS, Spec, batch_for, epochs_for, settle, start
from tunesmith.blocks.models.inputs import Columns, finish, named, require
from tunesmith.records import ModelError, Recipe


class Direction(nn.Module):
    """Weights of one direction. The gates stand in the order input, forget, output, cell."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(inputs, 4 * width)
        self.recurrent = nn.Linear(width, 4 * width, bias=False)

    def initialise(self) -> None:
        """Glorot for the inputs and orthogonal for the state, gate by gate; forget gates open.

        Jozefowicz et al., An Empirical Exploration of Recurrent Network Architectures, ICML 2015, section 5.
        """
        width = self.recurrent.in_features
        with torch.no_grad():
            for ours, theirs in zip(self.inputs.weight.chunk(4), self.recurrent.weight.chunk(4), strict=True):
                layers.INITS["xavier_uniform"](ours)
                layers.INITS["orthogonal"](theirs)
            self.inputs.bias.zero_()
            self.inputs.bias[width : 2 * width] = 1.0


class BidirectionalLSTM(nn.Module):
    """One layer in both directions. Shape: (N, L, inputs), boolean mask (N, L) -> (N, L, 2 * width)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.onward = Direction(inputs, width)
        self.backward = Direction(inputs, width)
        self.width = width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        ahead, back = self.onward, self.backward
        given = (
            torch.stack([ahead.inputs(x), back.inputs(x.flip(1))]).permute(2, 0, 1, 3).unbind(0)
        )  # L of (2, N, 4 width)
        moves = torch.stack([mask, mask.flip(1)]).permute(2, 0, 1).unsqueeze(-1).to(x.dtype).unbind(0)
        weight = torch.stack([ahead.recurrent.weight, back.recurrent.weight]).transpose(1, 2)
        state = cell = x.new_zeros(2, x.shape[0], self.width)
        states = []
        for gates, move in zip(given, moves, strict=True):
            state, cell = self._step(gates + torch.bmm(state, weight), state, cell, move)
            states.append(state)
        onward, backward = torch.stack(states, 2)  # (N, L, width) each
        return torch.cat([onward, backward.flip(1)], -1)

    def _step(self, gates: Tensor, state: Tensor, cell: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
        enter, forget, leave = gates[..., : 3 * self.width].sigmoid().chunk(3, -1)
        new_cell = forget * cell + enter * gates[..., 3 * self.width :].tanh()
        new_state = leave * new_cell.tanh()
        return torch.lerp(state, new_state, move), torch.lerp(cell, new_cell, move)


class LSTM(nn.Module):
    """Tokens (N, L), and the columns beside them, to (N, outputs)."""

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen = recipe.model
        tokens = spec["tokens"]
        size, width, depth = int(chosen.embedding_dim), int(chosen.width), int(chosen.depth)
        self.spec, self.kind, self.padding = dict(spec), kind, int(tokens.padding)
        self.table = nn.Embedding(int(tokens.vocabulary), size)
        self.dropout = nn.Dropout(float(chosen.dropout))
        self.recurrent = nn.ModuleList(BidirectionalLSTM(size if i == 0 else 2 * width, width) for i in range(depth))
        self.pool = layers.pooling(chosen.pooling, 2 * width)
        self.columns = Columns(spec)
        features = 2 * width + self.columns.width
        self.norm = layers.norm_slot(chosen.norm, features)
        self.head = nn.Linear(features, outputs)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        parts = named(inputs, self.spec)
        tokens = parts["tokens"].long()
        mask = tokens != self.padding
        x = self.dropout(self.table(tokens))
        for layer in self.recurrent:
            x = self.dropout(layer(x, mask))
        text = self.pool(x, mask)
        if self.columns.width:
            text = torch.cat([text, self.columns(parts, text.dtype)], 1)
        return finish(self.head(self.norm(text)), self.kind)


@MODELS.add("lstm")
def lstm(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require("lstm", spec, takes=("tokens", "numbers", "categories"), needs=("tokens",))
    settled = settle(recipe, "lstm", spec)
    _check(settled)
    net = LSTM(spec, outputs, kind, settled)
    start(net, settled.model.init, "identity")
    for module in net.modules():
        if isinstance(module, Direction):
            module.initialise()
    layers.norm_weights(net.recurrent, settled.model.norm)
    return net


def _check(recipe: Recipe) -> None:
    if recipe.model.norm == "cosine":
        raise ModelError(
            "the lstm adds the products of input and state before its gates, which cosines would bound apart: "
            "model.norm 'cosine' cannot; try 'weight', 'layer' or 'none'"
        )


@DEFAULTS.add("lstm")
def lstm_defaults(spec: Spec, rows: int) -> dict[str, Any]:
    # measured as a set, one seed: docs/log.md, defaults for text; the bound on the gradient is a rule of thumb, reg.clip
    batch = batch_for(rows, 64)
    return {
        "model.width": 96,
        "model.depth": 1,
        "model.embedding_dim": 96,
        "model.pooling": "max",
        "model.dropout": 0.3,
        "model.norm": "none",
        "model.init": "auto",
        "optim.name": "adamw",
        "optim.lr": 2e-3,
        "optim.weight_decay": 0.01,
        "schedule.name": "cosine",
        "schedule.warmup": "0.05dur",
        "train.batch_size": batch,
        "train.epochs": epochs_for(rows, batch, updates=800, least=4, most=30),
    }
