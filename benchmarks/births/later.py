"""More births, written when the probe was done, and tried on it once before anything was mended.

Nine of the ten were named rightly then; `pretrained_vectors` was laid at an update and is mended since.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from births.programs import Transformer, batches, born, mlp, sentences
from torch import Tensor, nn

Change = Callable[[int, list[Any]], None]


def train(
    watch: Any,
    model: nn.Module,
    data: Iterable[Any],
    loss_of: Callable[..., Tensor],
    *,
    optimizer: Any = None,
    loss_fn: Any = None,
    change: Change | None = None,
) -> None:
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer, loss_fn=loss_fn) as watched:
        for step, given in enumerate(data, 1):
            batch = list(given)
            if change is not None:
                change(step, batch)
            loss = loss_of(*batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


class Part(nn.Module):
    """A module made of a function."""

    def __init__(self, function: Callable[..., Any], **held: Any) -> None:
        super().__init__()
        self.function = function
        for name, one in held.items():
            setattr(self, name, one)

    def forward(self, *given: Any) -> Any:
        return self.function(self, *given)


def named(**parts: nn.Module) -> nn.Sequential:
    model = nn.Sequential()
    for name, one in parts.items():
        model.add_module(name, one)
    return model


@born("loss", "loss", 5, "MLP")
def cosine_by_hand(watch: Any) -> None:
    """A row of zeros has no direction."""
    model = nn.Sequential(nn.Linear(6, 8, bias=False))

    def change(step: int, batch: list[Any]) -> None:
        if step == 5:
            batch[0][2] = 0

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        z = model(x)
        return (1 - (z / z.norm(dim=1, keepdim=True)).sum(1)).mean()

    train(watch, model, batches(8, 16, 6), loss_of, change=change)


@born("loss", "loss", 6, "MLP")
def divergence_by_hand(watch: Any) -> None:
    """p log(p / q) with a q that is exactly 0."""
    model, even = mlp(), torch.full((16, 3), 1 / 3)

    def change(step: int, batch: list[Any]) -> None:
        if step == 6:
            batch[0][1] *= 1e4

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return (even * torch.log(even / model(x).softmax(1))).sum(1).mean()

    train(watch, model, batches(8, 16, 6), loss_of, change=change)


@born("renorm", "forward", 3, "MLP")
def constant_feature(watch: Any) -> None:
    """A batch norm by hand without an epsilon, and a column that does not change."""
    model = named(renorm=Part(lambda own, x: (x - x.mean(0)) * torch.rsqrt(x.var(0))), body=mlp())

    def change(step: int, batch: list[Any]) -> None:
        if step == 3:
            batch[0][:, 4] = 1.0

    train(
        watch,
        model,
        batches(6, 16, 6),
        lambda x, y: F.cross_entropy(model(x), y),
        loss_fn=F.cross_entropy,
        change=change,
    )


@born("temperature", "forward", 5, "MLP")
def temperature_at_zero(watch: Any) -> None:
    """A learnt temperature arrives at 0."""
    temperature = Part(lambda own, x: x / own.scale, scale=nn.Parameter(torch.tensor(1.0)))
    model = named(body=mlp(), temperature=temperature)

    def change(step: int, batch: list[Any]) -> None:
        if step == 5:
            with torch.no_grad():
                temperature.scale.zero_()

    train(watch, model, batches(8, 16, 6), lambda x, y: F.cross_entropy(model(x), y), change=change)


@born("target", "input", 3, "MLP")
def weights_of_a_mixture(watch: Any) -> None:
    """Mixed labels with a weight of 0/0."""
    model, loss_fn = mlp(), nn.CrossEntropyLoss()

    def change(step: int, batch: list[Any]) -> None:
        weight = torch.tensor(0.0) / 0.0 if step == 3 else torch.tensor(0.3)
        batch[1] = F.one_hot(batch[1], 3).float() * (1 - weight) + weight * 0.3

    train(watch, model, batches(6, 16, 6), lambda x, y: loss_fn(model(x), y), loss_fn=loss_fn, change=change)


@born("0", "update", 1, "MLP")
def rmsprop_without_epsilon(watch: Any) -> None:
    """A column of zeros, and eps=0."""
    model = mlp()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, eps=0.0)

    def change(step: int, batch: list[Any]) -> None:
        batch[0][:, 1] = 0

    train(
        watch, model, batches(5, 16, 6), lambda x, y: F.cross_entropy(model(x), y), optimizer=optimizer, change=change
    )


@born("0.parametrizations.weight.0", "forward", 1, "MLP")
def weight_norm_of_zeros(watch: Any) -> None:
    """A row of weights that begins at 0 has no direction."""
    layer = nn.Linear(6, 8)
    with torch.no_grad():
        layer.weight[2] = 0
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(layer), nn.ReLU(), nn.Linear(8, 3))

    train(watch, model, batches(5, 16, 6), lambda x, y: F.cross_entropy(model(x), y))


@born("embed", "update", 0, "transformer")
def pretrained_vectors(watch: Any) -> None:
    """Loaded vectors with a NaN in the row of a rare word: it was there before the first update."""
    model = Transformer()
    with torch.no_grad():
        model.embed.weight[19] = math.nan

    def change(step: int, batch: list[Any]) -> None:
        batch[0].clamp_(max=18)
        if step == 6:
            batch[0][2, 3] = 19

    train(watch, model, sentences(8), lambda tokens, keep, y: F.cross_entropy(model(tokens, keep), y), change=change)


@born("input", "input", 4, "MLP")
def inputs_in_nested_dicts(watch: Any) -> None:
    """One of several inputs, two dicts deep, is infinite."""
    model = Part(lambda own, batch: own.body(batch["x"] + batch["extra"]["bias"]), body=mlp())

    def change(step: int, batch: list[Any]) -> None:
        bias = torch.zeros(16, 6)
        if step == 4:
            bias[7, 0] = math.inf
        batch[0] = {"x": batch[0], "extra": {"bias": bias}}

    train(watch, model, batches(6, 16, 6), lambda x, y: F.cross_entropy(model(x), y), change=change)


@born("recurrence", "backward", 5, "RNN")
def gradient_scaled_by_hand(watch: Any) -> None:
    """A function of one's own divides the gradient by what is 0 once."""

    class Scaled(torch.autograd.Function):
        zero = False

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient / (gradient.abs().amax() * 0 if Scaled.zero else 1)

    recurrence = Part(lambda own, x: Scaled.apply(own.cells(x)[0]), cells=nn.GRU(6, 8, batch_first=True))
    model = named(recurrence=recurrence, head=nn.Linear(8, 3))

    def change(step: int, batch: list[Any]) -> None:
        Scaled.zero = step == 5

    train(watch, model, batches(7, 8, 5, 6), lambda x, y: F.cross_entropy(model(x).mean(1), y), change=change)
