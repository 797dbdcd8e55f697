"""Residual convolutional net for pictures of any size.

    stem    convolution and pooling, halving until the map's side is at most 24
    stages  one residual block each: x <- act(skip(x) + norm(W act(norm(V x)))); each but the first halves the map and
            doubles the channels, until the side is at most 3;
            He et al., arXiv:1512.03385, figure 2; the skip of a halving block averages first, arXiv:1812.01187, figure 2c
    head    pooling over the map, dropout, linear layer

A residual branch starts at zero (its last norm, or its last convolution where there is no norm): arXiv:1706.02677,
section 5.1.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.models import DEFAULTS, MODELS, Spec, batch_for, settle, start
from tunesmith.blocks.models.inputs import finish, named, require
from tunesmith.records import ModelError, Recipe

LARGEST_FIRST_SIDE = 24  # of the map that enters the stages: 14 for pictures of 28 or 224, 16 for 32, 64 or 128
LARGEST_LAST_SIDE = 3  # of the map that is pooled; 13,500 rows of Fashion-MNIST: side 4 0.904, side 2 0.910 accuracy
FEW = 20_000  # assumption: between the 5,400 and the 54,000 rows that were measured
HEAD_STD = 0.01  # arXiv:1706.02677, section 5.1: the first outputs are close to equal for all classes


class Block(nn.Module):
    """Two 3x3 convolutions beside a skip. Shape: (N, C, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, inputs: int, channels: int, *, stride: int, norm: str, activation: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, channels, 3, stride, 1, bias=not layers.adds_bias(norm))
        self.first_norm = layers.norm_slot(norm, channels, dims=2)
        self.activation = layers.activation(activation)
        self.last = nn.Conv2d(channels, channels, 3, 1, 1, bias=not layers.adds_bias(norm))
        self.last_norm = layers.norm_slot(norm, channels, dims=2)
        self.skip = _skip(inputs, channels, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.last_norm(self.last(self.activation(self.first_norm(self.first(x)))))
        return cast(Tensor, self.activation(branch + self.skip(x)))

    def start_at_zero(self) -> None:
        """Makes the block its skip; cosines have no length to take away."""
        scale = getattr(self.last_norm, "weight", None)
        if scale is not None:
            nn.init.zeros_(scale)
        elif isinstance(self.last, nn.Conv2d):
            layers.zero_weight(self.last)


def _skip(inputs: int, channels: int, stride: int, norm: str) -> nn.Sequential:
    smaller = [nn.AvgPool2d(2, 2, ceil_mode=True)] if stride == 2 else []
    wider = [nn.Conv2d(inputs, channels, 1, bias=not layers.adds_bias(norm)), layers.norm_slot(norm, channels, dims=2)]
    return nn.Sequential(*smaller, *(wider if inputs != channels or stride == 2 else ()))


class CNN(nn.Module):
    """Pictures, standardised by channel, to outputs. Shape: (N, C, H, W), or (N, H, W) for C = 1, -> (N, outputs)."""

    def __init__(self, spec: Spec, outputs: int, kind: str, recipe: Recipe) -> None:
        super().__init__()
        chosen = recipe.model
        width, depth = int(chosen.width), int(chosen.depth)
        parts = {"norm": chosen.norm, "activation": chosen.activation}
        channels, height, breadth = shape_of(spec)
        self.spec, self.kind, self.channels = dict(spec), kind, channels
        self.stem = _stem(channels, width, halvings(height, breadth), **parts)
        widths = [width * 2**stage for stage in range(depth)]
        blocks = [Block(width, width, stride=1, **parts)]
        blocks += [Block(a, b, stride=2, **parts) for a, b in pairwise(widths)]
        self.stages = nn.Sequential(*blocks)
        self.pooling = layers.pooling(chosen.pooling, widths[-1])
        self.dropout = nn.Dropout(float(chosen.dropout))
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        (x,) = named(inputs, self.spec).values()
        x = x.to(self.head.weight.dtype).reshape(-1, self.channels, *x.shape[-2:])
        if x.device.type == "cpu":
            x = channels_last(x)
        features = self.pooling(layers.positions(self.stages(self.stem(x))))
        return finish(self.head(self.dropout(features)), self.kind)

    def initialise(self, rule: str, activation: str, norm: str) -> None:
        start(self, rule, activation)
        if rule != "default":
            nn.init.normal_(self.head.weight, std=HEAD_STD)
        for part in (self.stem, self.stages):
            layers.norm_weights(part, norm)
        for block in self.stages:
            cast(Block, block).start_at_zero()


def _stem(inputs: int, width: int, halvings: int, *, norm: str, activation: str) -> nn.Sequential:
    """Convolutions from pixels to `width` channels that halve the map `halvings` times, the last time by max pooling."""
    found: list[nn.Module] = []
    for stride in strides(halvings):
        # kernel 7 at stride 4: neighbours overlap by as much as with kernel 3 at stride 2
        convolution = nn.Conv2d(
            inputs, width, max(2 * stride - 1, 3), stride, max(stride - 1, 1), bias=not layers.adds_bias(norm)
        )
        last = stride == 1 and halvings > 0
        # pooled before the norm, which then has a quarter of the work
        pooling = [nn.MaxPool2d(2, 2, ceil_mode=True)] if last else []
        found += [convolution, *pooling, layers.norm_slot(norm, width, dims=2), layers.activation(activation)]
        inputs = width
    return nn.Sequential(*found)


def strides(halvings: int) -> tuple[int, ...]:
    """Strides of the stem's convolutions; large pictures start with 4, for maps of 112 cost more than all the rest.

    >>> [strides(count) for count in range(5)]
    [(1,), (1,), (2, 1), (4, 1), (4, 2, 1)]
    """
    before_pooling = max(halvings - 1, 0)
    first = (4,) if before_pooling >= 2 else ()
    return (*first, *(2,) * (before_pooling - 2 * len(first)), 1)


def channels_last(x: Tensor) -> Tensor:
    """The same tensor with the channels last in memory: convolutions on a CPU take two thirds of the time.

    Written with views, as `contiguous(memory_format=...)` has no rule under vmap and leaves a single channel as it is.
    """
    samples, channels, height, width = x.shape
    return x.movedim(1, -1).flatten(2).reshape(samples, height, width, channels).movedim(-1, 1)


def shape_of(spec: Spec) -> tuple[int, int, int]:
    """(channels, height, width) of the pictures of a spec."""
    if "pictures" in spec:
        found = spec["pictures"]
        return found.channels, found.height, found.width
    shape = tuple(spec["x"].shape)
    if len(shape) not in (2, 3):
        raise ModelError(
            f"cnn needs pictures (height, width) or (channels, height, width), the data have rows of shape {shape}; "
            "reshape them, or set model.name to 'mlp'"
        )
    return (1, *shape) if len(shape) == 2 else shape


def halvings(height: int, width: int) -> int:
    """How often the stem halves the map.

    >>> [halvings(side, side) for side in (8, 24, 28, 32, 64, 96, 224)]
    [0, 0, 1, 1, 2, 2, 4]
    """
    count = 0
    while math.sqrt(height * width) > LARGEST_FIRST_SIDE:
        height, width, count = math.ceil(height / 2), math.ceil(width / 2), count + 1
    return count


def stages(height: int, width: int) -> int:
    """How many stages bring the map to its last side.

    >>> [stages(side, side) for side in (8, 24, 28, 32, 64, 96, 224)]
    [3, 4, 4, 4, 4, 4, 4]
    """
    for _ in range(halvings(height, width)):
        height, width = math.ceil(height / 2), math.ceil(width / 2)
    count = 1
    while math.sqrt(height * width) > LARGEST_LAST_SIDE:
        height, width, count = math.ceil(height / 2), math.ceil(width / 2), count + 1
    return count


@MODELS.add("cnn")
def cnn(recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    require("cnn", spec, takes=("pictures", "x"), needs=("pictures", "x"))
    settled = settle(recipe, "cnn", spec)
    net = CNN(spec, outputs, kind, settled)
    net.initialise(settled.model.init, settled.model.activation, settled.model.norm)
    return net


@DEFAULTS.add("cnn")
def defaults(spec: Spec, rows: int) -> dict[str, Any]:
    """Settings for pictures of one size. Below `FEW` rows a narrower net, smaller batches, dropout: measured.

    Fashion-MNIST, 5,400 rows, shift of one pixel, 22 epochs, one seed, accuracy on 10,000 others: width 24 0.892, width
    16 0.894 in half the time, batch 64 0.897, dropout 0.2 0.894. All three together (dropout 0.1) with the default
    shift and 24 epochs 0.887. 54,000 rows, shift of one pixel, 9 epochs: 0.933 on the test part.
    """
    _, height, width = shape_of(spec)
    few = rows < FEW
    return {
        "model.width": 16 if few else 24,
        "model.depth": stages(height, width),
        "model.dropout": 0.1 if few else 0.0,
        "model.activation": "relu",
        "model.norm": "batch",
        "model.pooling": "mean",
        "optim.name": "adamw",
        "optim.lr": 3e-3,
        "optim.weight_decay": 0.05,
        "schedule.name": "cosine",
        "schedule.warmup": "0.1dur",
        "train.batch_size": batch_for(rows, 64 if few else 128),
        "train.epochs": epochs(rows),
    }


def epochs(rows: int) -> int:
    """2000 / sqrt(rows), between 3 and 80.

    >>> [epochs(rows) for rows in (100, 5_000, 54_000, 10**6)]
    [80, 28, 9, 3]
    """
    # measured: 22 epochs on 5,400 pictures are as good as 29
    return min(80, max(3, round(2000 / math.sqrt(max(rows, 1)))))
