"""Small programs in which a number stops being finite, each written as its author would, and the truth about it.

A program is given `watch(model, optimizer, loss_fn=None)` and trains under what it returns. `PROGRAMS` holds the module, the direction and
the step of each birth, known by construction; `QUIET` are sound programs with infinities that are meant.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Program = Callable[[Any], None]


@dataclass(frozen=True)
class Truth:
    """Where the first number that is not finite is born; an empty module, and a step of None, are found by looking at everything."""

    module: str
    direction: str
    step: int | None
    net: str


PROGRAMS: dict[str, tuple[Program, Truth]] = {}
QUIET: dict[str, Program] = {}


def born(module: str, direction: str, step: int | None, net: str) -> Callable[[Program], Program]:
    def put(program: Program) -> Program:
        PROGRAMS[program.__name__] = (program, Truth(module, direction, step, net))
        return program

    return put


def quiet(program: Program) -> Program:
    QUIET[program.__name__] = program
    return program


def batches(steps: int, *shape: int, seed: int = 0, classes: int = 3) -> Iterator[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, *shape[1:], generator=draw)
    for _ in range(steps):
        y = torch.randint(0, classes, (shape[0],), generator=draw)
        yield centres[y] + 0.5 * torch.randn(*shape, generator=draw), y


def mlp(inputs: int = 6, outputs: int = 3, width: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


class Cnn(nn.Module):
    def __init__(self, classes: int = 3, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = norm or nn.Identity()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(self.norm(self.conv1(x))), 2)
        return self.head(torch.relu(self.conv2(x)).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width: int, stable: bool = True) -> None:
        super().__init__()
        self.qkv, self.out, self.stable = nn.Linear(width, 3 * width), nn.Linear(width, width), stable

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = q @ k.transpose(1, 2) / math.sqrt(x.shape[-1])
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, :], float("-inf"))
        if self.stable:
            weights = scores.softmax(-1)
        else:
            weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        return self.out(weights @ v)


class Block(nn.Module):
    def __init__(self, width: int, stable: bool = True) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, stable)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), keep)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, words: int = 20, width: int = 16, classes: int = 3, stable: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.blocks = nn.ModuleList([Block(width, stable) for _ in range(2)])
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, keep)
        return self.head(x.mean(1))


def sentences(steps: int, rows: int = 8, length: int = 10, seed: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        tokens = torch.randint(1, 20, (rows, length), generator=draw)
        keep = torch.arange(length)[None, :] < torch.randint(3, length, (rows, 1), generator=draw)
        yield tokens, keep, (tokens[:, 0] % 3)


# losses


@born("loss", "loss", 6, "MLP")
def log_of_zero(watch: Any) -> None:
    """Softmax, then log by hand; one row is so clear that a probability is exactly 0."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as watched:
        for step, (x, y) in enumerate(batches(10, 16, 6), 1):
            if step == 6:
                x[3] *= 3000
            p = F.softmax(model(x), -1)
            loss = -(torch.log(p) * F.one_hot(y, 3)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, inputs=x, target=y)


@born("loss", "loss", 5, "MLP")
def log_of_zero_function(watch: Any) -> None:
    """The same as a function that the watch is given: binary cross entropy by hand."""

    def loss_fn(p: Tensor, y: Tensor) -> Tensor:
        return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()

    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer, loss_fn=loss_fn) as watched:
        for step, (x, y) in enumerate(batches(10, 16, 6, classes=2), 1):
            if step == 5:
                with torch.no_grad():
                    model[2].bias += 40  # a bias that was loaded from elsewhere
            target = y[:, None].float()
            loss = loss_fn(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, inputs=x, target=target)


@born("loss", "backward", 4, "MLP")
def root_of_zero(watch: Any) -> None:
    """The root of a squared distance that is exactly 0: the loss is fine, its slope is not."""
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    with watch(model, optimizer) as watched:
        for step, (x, _) in enumerate(batches(8, 16, 6), 1):
            target = x[:, :2].abs() + 0.1
            if step == 4:
                target[5] = model(x)[5].detach()
            loss = ((model(x) - target) ** 2).sum(1).sqrt().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("loss", "backward", 3, "MLP")
def triplet_distance(watch: Any) -> None:
    """Two equal rows in a batch: the distance of their embeddings is 0, with a root by hand."""
    model = mlp(6, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def contrastive(z: Tensor, y: Tensor) -> Tensor:
        apart = ((z[0::2] - z[1::2]) ** 2).sum(1).sqrt()
        same = (y[0::2] == y[1::2]).float()
        return (same * apart + (1 - same) * F.relu(1 - apart)).mean()

    with watch(model, optimizer, loss_fn=contrastive) as watched:
        for step, (x, y) in enumerate(batches(8, 16, 6), 1):
            if step == 3:
                x[5], y[5] = x[4], y[4]
            loss = contrastive(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("loss", "loss", 7, "transformer")
def nothing_counted(watch: Any) -> None:
    """A batch in which every label is the one to be ignored: the mean over nothing."""
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_fn = nn.CrossEntropyLoss(ignore_index=-100)
    with watch(model, optimizer, loss_fn=loss_fn) as watched:
        for step, (tokens, keep, y) in enumerate(sentences(10), 1):
            if step == 7:
                y = torch.full_like(y, -100)
            loss = loss_fn(model(tokens, keep), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("loss", "loss", 4, "RNN")
def ctc_too_short(watch: Any) -> None:
    """A text longer than its sound: the loss of connectionist temporal classification is infinite."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 12, batch_first=True), nn.Linear(12, 5)

        def forward(self, x: Tensor) -> Tensor:
            return F.log_softmax(self.head(self.rnn(x)[0]), -1)

    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    draw = torch.Generator().manual_seed(0)
    with watch(model, optimizer) as watched:
        for step in range(1, 8):
            x, y = torch.randn(6, 12, 4, generator=draw), torch.randint(1, 5, (6, 5), generator=draw)
            spans = torch.full((6,), 12)
            if step == 4:
                spans[2] = 3
            loss = F.ctc_loss(model(x).transpose(0, 1), y, spans, torch.full((6,), 5))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("loss", "backward", 1, "MLP")
def norm_of_zero_weights(watch: Any) -> None:
    """A penalty on the length of a layer that begins at 0, with a root by hand."""
    model = mlp()
    nn.init.zeros_(model[4].weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as watched:
        for x, y in batches(4, 16, 6):
            loss = F.cross_entropy(model(x), y) + 1e-3 * (model[4].weight ** 2).sum().sqrt()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


# inside the model


@born("share", "forward", 6, "MLP")
def division_by_zero(watch: Any) -> None:
    """A layer of one's own divides each row by its sum; one row is all 0."""

    class Share(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / x.sum(-1, keepdim=True)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.share, self.body = Share(), mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.share(x))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for step, (x, y) in enumerate(batches(10, 16, 6), 1):
            x = x.abs()
            if step == 6:
                x[9] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("conv2", "forward", 5, "CNN")
def overflow_in_half(watch: Any) -> None:
    """A bright picture: the sums of the second convolution pass 65504 in half precision."""
    model = Cnn()
    with torch.no_grad():
        model.conv2.weight *= 40
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for step, (x, y) in enumerate(batches(8, 8, 1, 8, 8), 1):
            if step == 5:
                x[2] *= 3000
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("blocks.0.attn", "forward", 5, "transformer")
def empty_row_of_a_mask(watch: Any) -> None:
    """A sentence of padding alone: every score of its rows is minus infinity."""
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for step, (tokens, keep, y) in enumerate(sentences(9), 1):
            if step == 5:
                keep[6] = False
            loss = F.cross_entropy(model(tokens, keep), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("blocks.0.attn", "forward", 4, "transformer")
def softmax_by_hand(watch: Any) -> None:
    """exp without taking the largest away, in attention: one batch has a large embedding."""
    model = Transformer(stable=False)
    model.blocks[0].norm1 = nn.Identity()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with torch.no_grad():
        model.embed.weight[19] *= 300
    with watch(model, optimizer) as watched:
        for step, (tokens, _, y) in enumerate(sentences(8), 1):
            tokens = tokens.clamp(max=18)
            if step == 4:
                tokens[1, 2] = 19
            loss = F.cross_entropy(model(tokens), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("contrast", "forward", 31 * 5 + 3, "CNN")
def after_thirty_epochs(watch: Any) -> None:
    """Thirty-one good epochs; then a blank picture comes in, and a layer divides by its deviation."""

    class Contrast(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.contrast, self.body = Contrast(), Cnn()

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.contrast(x))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for epoch in range(33):
            for number, (x, y) in enumerate(batches(5, 8, 1, 8, 8, seed=epoch)):
                if (epoch, number) == (31, 2):
                    x[4] = 0.5
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watched.step(loss, target=y)


@born("spread", "forward", 4, "MLP")
def deviation_of_one_row(watch: Any) -> None:
    """The last batch of an epoch has one row, and a layer divides by the deviation over the batch."""

    class Spread(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(0)) / (x.std(0) + 1e-6)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.spread, self.last = nn.Linear(6, 16), Spread(), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.spread(self.first(x))))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = next(iter(batches(1, 49, 6)))
    with watch(model, optimizer, loss_fn=nn.CrossEntropyLoss()) as watched:
        for start in range(0, 49, 16):
            x, y = data[0][start : start + 16], data[1][start : start + 16]
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("pooling", "backward", 3, "RNN")
def deviation_of_a_silent_sound(watch: Any) -> None:
    """Pooling over time takes mean and deviation; one sound is silent, and the slope of the deviation there is 0/0."""

    class Pooling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x.mean(1), ((x - x.mean(1, keepdim=True)) ** 2).mean(1).sqrt()], 1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.pooling, self.last = nn.Linear(4, 8, bias=False), Pooling(), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.pooling(self.first(x)))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for step, (x, y) in enumerate(batches(6, 8, 12, 4), 1):
            if step == 3:
                x[7] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("angle", "forward", 4, "MLP")
def cosine_beyond_one(watch: Any) -> None:
    """The angle between a row and nearly itself: rounding puts the cosine beyond 1, and acos has no value there."""

    class Angle(nn.Module):
        def forward(self, x: Tensor, other: Tensor) -> Tensor:
            cosine = (x * other).sum(1) / (x.norm(dim=1) * other.norm(dim=1) * (1 - 1e-6))
            return torch.acos(cosine)[:, None]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.angle, self.last = nn.Linear(6, 5), Angle(), nn.Linear(1, 3)

        def forward(self, x: Tensor, other: Tensor) -> Tensor:
            return self.last(self.angle(self.first(x), self.first(other)))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer) as watched:
        for step, (x, y) in enumerate(batches(7, 16, 6), 1):
            other = x.flip(1)
            if step == 4:
                other[2] = x[2]
            loss = F.cross_entropy(model(x, other), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("power", "backward", 5, "MLP")
def power_of_zero(watch: Any) -> None:
    """The magnitude of a spectrum to the power 0.3: at silence the slope is infinite, and infinity times 0 is NaN."""

    class Power(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x**2) ** 0.3

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.power, self.last = nn.Linear(6, 8, bias=False), Power(), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.power(self.first(x)))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer) as watched:
        for step, (x, y) in enumerate(batches(7, 16, 6), 1):
            if step == 5:
                x[11] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("level", "backward", 2, "CNN")
def masked_logarithm(watch: Any) -> None:
    """torch.where masks the logarithm of 0 in the value, not in its slope."""

    class Level(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            energy = (x**2).sum(1, keepdim=True)
            return torch.where(energy > 0, torch.log(energy), torch.zeros_like(energy))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.level, self.last = nn.Conv2d(1, 4, 3, padding=1, bias=False), Level(), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.level(self.conv(x)).flatten(1))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for step, (x, y) in enumerate(batches(5, 8, 1, 8, 8), 1):
            if step == 2:
                x[3, :, :4] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("scale", "backward", 5, "MLP")
def function_of_ones_own(watch: Any) -> None:
    """A hand-written backward divides by the input."""

    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.abs()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return gradient * x.abs() / x

    class Scale(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Straight.apply(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.scale, self.last = nn.Linear(6, 8, bias=False), Scale(), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.scale(self.first(x)))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer) as watched:
        for step, (x, y) in enumerate(batches(7, 16, 6), 1):
            if step == 5:
                x[0] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("noise", "forward", None, "MLP")
def noise_of_zero(watch: Any) -> None:
    """Gumbel noise: minus log of minus log of a draw that is 0, in half precision once in some thousand."""

    class Noise(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                return x
            drawn = torch.rand(x.shape, dtype=torch.float16).float()
            return x - 0.1 * torch.log(-torch.log(drawn))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.noise = mlp(), Noise()

        def forward(self, x: Tensor) -> Tensor:
            return self.noise(self.body(x))

    torch.manual_seed(5)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for x, y in batches(60, 32, 6):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("rnn.around", "forward", 4, "RNN")
def growing_state(watch: Any) -> None:
    """A recurrence without saturation and with eigenvalues above 1: the state of a long sequence leaves the range."""

    class Recurrence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inward, self.around = nn.Linear(4, 8), nn.Linear(8, 8, bias=False)
            nn.init.orthogonal_(self.around.weight)
            self.around.weight.data *= 1.25

        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(len(x), 8)
            for moment in range(x.shape[1]):
                state = self.inward(x[:, moment]) + self.around(state)
            return state

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.norm, self.head = Recurrence(), nn.LayerNorm(8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(self.rnn(x)))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    lengths = [20, 40, 60, 500, 40, 40]
    with watch(model, optimizer) as watched:
        for number, length in enumerate(lengths):
            x, y = next(batches(1, 8, length, 4, seed=number))
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("latent", "forward", 4, "MLP")
def variance_of_a_code(watch: Any) -> None:
    """An autoencoder takes exp of a log-variance that one wild row drives beyond 88."""

    class Latent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.log_variance = nn.Linear(16, 4), nn.Linear(16, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mean, log_variance = self.mean(x), self.log_variance(x)
            return mean + torch.exp(log_variance) * torch.randn_like(mean), mean, log_variance

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.latent, self.decode = nn.Linear(6, 16), Latent(), nn.Linear(4, 6)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            code, mean, log_variance = self.latent(torch.relu(self.encode(x)))
            return self.decode(code), mean, log_variance

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for step, (x, _) in enumerate(batches(6, 16, 6), 1):
            if step == 4:
                x[1] *= 3000
            out, mean, log_variance = model(x)
            loss = F.mse_loss(out, x) - 0.01 * (1 + log_variance - mean**2 - log_variance.exp()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


# data


@born("input", "input", 4, "CNN")
def bad_picture(watch: Any) -> None:
    """A file that was read wrongly: some pixels are NaN."""
    model = Cnn(norm=nn.BatchNorm2d(8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for step, (x, y) in enumerate(batches(8, 8, 1, 8, 8), 1):
            if step == 4:
                x[5, 0, 2:4, 1] = math.nan
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("target", "input", 9, "MLP")
def bad_target(watch: Any) -> None:
    """An empty cell of the target column."""
    model = mlp(6, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_fn = nn.MSELoss()
    with watch(model, optimizer, loss_fn=loss_fn) as watched:
        for step, (x, _) in enumerate(batches(12, 16, 6), 1):
            y = x[:, :1] * 2
            if step == 9:
                y[4] = math.nan
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("input", "input", 5, "CNN")
def transform_in_the_loader(watch: Any) -> None:
    """Each picture is standardised by its own deviation as it is loaded; one is constant."""

    class Pictures(Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, row: int) -> tuple[Tensor, int]:
            picture = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(row))
            if row == 37:
                picture[:] = 0.25
            return (picture - picture.mean()) / picture.std(), row % 3

    model = Cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as watched:
        for x, y in DataLoader(Pictures(), batch_size=8):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("input", "input", 3, "MLP")
def second_of_two_inputs(watch: Any) -> None:
    """A net of pictures and numbers; the numbers of one row are infinite."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = mlp(6, 8), mlp(3, 8)
            self.head = nn.Linear(16, 3)

        def forward(self, left: Tensor, *, numbers: Tensor) -> Tensor:
            return self.head(torch.cat([self.left(left), self.right(numbers)], 1))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as watched:
        for step, (x, y) in enumerate(batches(6, 16, 6), 1):
            numbers = x[:, :3].clone()
            if step == 3:
                numbers[8, 1] = math.inf
            loss = F.cross_entropy(model(x, numbers=numbers), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("input", "input", 3, "MLP")
def second_of_two_micro_batches(watch: Any) -> None:
    """Gradients are gathered over four batches; the second one of the third update is bad."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as watched:
        for number, (x, y) in enumerate(batches(20, 8, 6)):
            if number == 9:
                x[1, 4] = math.nan
            loss = F.cross_entropy(model(x), y) / 4
            loss.backward()
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
                watched.step(loss)


# updates


@born("", "forward", None, "MLP")
def exploding_rate(watch: Any) -> None:
    """A rate far too high for squared errors."""
    model = mlp(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    with watch(model, optimizer, loss_fn=F.mse_loss) as watched:
        for x, _ in batches(40, 16, 6):
            y = x.sum(1, keepdim=True)
            loss = F.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@born("", "forward", None, "MLP")
def decay_without_measure(watch: Any) -> None:
    """Weight decay times rate above 2: each update turns the weights over and makes them larger."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=60.0)
    with watch(model, optimizer) as watched:
        for x, y in batches(200, 16, 6):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("rate", "update", 12, "CNN")
def rate_of_a_schedule(watch: Any) -> None:
    """A root-shaped decay that is followed past its end."""
    model = Cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def factor(step: int) -> float:
        with np.errstate(invalid="ignore"):
            return float(np.sqrt(1 - np.float64(step) / 10))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    with watch(model, optimizer) as watched:
        for x, y in batches(15, 8, 1, 8, 8):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            watched.step(loss)


@born("0", "update", 1, "MLP")
def adam_without_epsilon(watch: Any) -> None:
    """eps=0, and an input that is always 0: its weights have gradient 0, and 0/0 is NaN."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=0.0)
    with watch(model, optimizer) as watched:
        for x, y in batches(5, 16, 6):
            x[:, 2] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@born("gradients", "update", 8, "RNN")
def clipping_by_hand(watch: Any) -> None:
    """Gradients are divided by their norm, which is 0 where every target of a batch is masked."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 12, batch_first=True), nn.Linear(12, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0])[..., 0]

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    draw = torch.Generator().manual_seed(0)
    with watch(model, optimizer) as watched:
        for step in range(1, 11):
            x = torch.randn(6, 12, 4, generator=draw)
            mask = torch.zeros(6, 12) if step == 8 else torch.ones(6, 12)
            loss = ((model(x) - x[..., 0]) ** 2 * mask).sum() / mask.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
            for p in model.parameters():
                p.grad.mul_(1.0 / norm)
            optimizer.step()
            watched.step(loss)


@born("0", "update", 1, "MLP")
def adam_in_half(watch: Any) -> None:
    """All in half precision: the square of a small gradient is 0 there, and so is eps."""
    torch.manual_seed(1)
    model = mlp().half()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=False)
    with watch(model, optimizer) as watched:
        for x, y in batches(5, 16, 6):
            x[:, 2] = 0
            loss = F.cross_entropy(model(x.half()).float(), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


# evaluation and buffers


@born("input", "evaluation", 20, "MLP")
def preparation_of_the_held_part(watch: Any) -> None:
    """Logarithms of the inputs; only the held rows hold a 0."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    held, labels = next(batches(1, 16, 6, seed=9))
    held = held.abs()
    held[3, 2] = 0
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for epoch in range(4):
            model.train()
            for x, y in batches(10, 16, 6, seed=epoch):
                loss = F.cross_entropy(model(x.abs().clamp(min=1e-3).log()), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watched.step(loss, target=y)
            model.eval()
            with torch.no_grad():
                prepared = held.clamp(min=1e-3) if epoch == 0 else held
                score = F.cross_entropy(model(prepared.log()), labels)
            watched.epoch(val_loss=float(score))


@born("meter", "buffer", 6, "MLP")
def running_mean_of_nothing(watch: Any) -> None:
    """A layer keeps a running mean over the rows above a limit; where there are none it becomes NaN, and only evaluation reads it."""

    class Meter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("level", torch.zeros(6))

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                with torch.no_grad():
                    chosen = x[x[:, 0] > 0]
                    self.level.mul_(0.9).add_(0.1 * chosen.mean(0))
                return x - x.mean(0)
            return x - self.level

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.meter, self.body = Meter(), mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.meter(x))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for epoch in range(3):
            model.train()
            for number, (x, y) in enumerate(batches(4, 16, 6, seed=epoch)):
                if (epoch, number) == (1, 1):
                    x[:, 0] = -x[:, 0].abs()
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watched.step(loss)
            model.eval()
            with torch.no_grad():
                score = F.cross_entropy(model(x), y)
            watched.epoch(val_loss=float(score))


@born("norm", "buffer", 7, "CNN")
def statistics_of_a_skipped_batch(watch: Any) -> None:
    """A loop leaves out batches whose loss is not finite: the statistics of the norm have taken them in already."""
    model = Cnn(norm=nn.BatchNorm2d(8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as watched:
        for epoch in range(2):
            model.train()
            for number, (x, y) in enumerate(batches(8, 8, 1, 8, 8, seed=epoch)):
                if (epoch, number) == (0, 6):
                    x[0, 0, 0, 0] = math.inf
                loss = F.cross_entropy(model(x), y)
                if not torch.isfinite(loss):
                    continue
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                watched.step(loss)
            model.eval()
            with torch.no_grad():
                score = F.cross_entropy(model(x), y)
            watched.epoch(val_loss=float(score))


# sound programs


@quiet
def causal_mask(watch: Any) -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    mask = nn.Transformer.generate_square_subsequent_mask(6)
    with watch(model, optimizer) as watched:
        for x, _ in batches(6, 8, 6, 16):
            loss = F.mse_loss(model(x, mask=mask), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)
        model.eval()
        with torch.no_grad():
            score = float(F.mse_loss(model(x, mask=mask), x))
        watched.epoch(val_loss=score)


@quiet
def padding_mask(watch: Any) -> None:
    model = Transformer()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for tokens, keep, y in sentences(8):
            loss = F.cross_entropy(model(tokens, keep), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@quiet
def actions_that_are_not_allowed(watch: Any) -> None:
    """Outputs of minus infinity by design, in training and in evaluation."""

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(6, 5)

        def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
            return self.body(x).masked_fill(~allowed, float("-inf"))

    model = Policy()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for x, y in batches(8, 16, 6):
            allowed = torch.ones(16, 5, dtype=torch.bool)
            allowed[:, 4] = False
            loss = F.cross_entropy(model(x, allowed), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)
        model.eval()
        with torch.no_grad():
            score = float(F.cross_entropy(model(x, allowed), y))
        watched.epoch(val_loss=score)


@quiet
def scaled_loss(watch: Any) -> None:
    """Loss scaling begins too high: the first updates are left out, as they should be."""
    model = mlp(6, 3, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    with watch(model, optimizer) as watched:
        for x, y in batches(25, 16, 6):
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            watched.step(loss)


@quiet
def missing_cells(watch: Any) -> None:
    """Inputs with NaN that the model itself replaces."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(12)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(torch.cat([torch.nan_to_num(x), torch.isnan(x).float()], 1))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer, loss_fn=F.cross_entropy) as watched:
        for x, y in batches(8, 16, 6):
            x[torch.rand(x.shape) < 0.1] = math.nan
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss, target=y)


@quiet
def nearest_of_all(watch: Any) -> None:
    """A search for the smallest begins at infinity; exp of minus infinity is 0."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.centres = mlp(6, 4), nn.Parameter(torch.randn(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            z = self.body(x)
            best = torch.full((len(x),), math.inf)
            for centre in self.centres:
                best = torch.minimum(best, ((z - centre) ** 2).sum(1))
            return best

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for x, _ in batches(8, 16, 6):
            loss = model(x).mean() + torch.exp(torch.tensor(-math.inf))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@quiet
def logarithm_masked_twice(watch: Any) -> None:
    """The sound way to mask a logarithm."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = nn.Linear(6, 8, bias=False), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            energy = self.body(x) ** 2
            there = energy > 0
            safe = torch.where(there, energy, torch.ones_like(energy))
            return self.last(torch.where(there, torch.log(safe), torch.zeros_like(energy)))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for x, y in batches(8, 16, 6):
            x[2] = 0
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.step(loss)


@quiet
def norm_that_is_only_measured(watch: Any) -> None:
    """clip_grad_norm_ with an infinite limit measures without clipping."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as watched:
        for x, y in batches(8, 16, 6):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), math.inf)
            optimizer.step()
            watched.step(loss)


def seeded(program: Program, watch: Any) -> None:
    """A program with its random numbers drawn from the same seed each time."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    program(watch)
