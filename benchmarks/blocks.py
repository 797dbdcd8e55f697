"""Real effect on real data, medians of 5 seeds: do the building blocks do here what their papers say they do?

Every experiment has two or three arms that differ in one thing. The blocks are the library's own (`INITS`, `NORMS`, `SCHEDULES`,
`LOSSES`), the loops plain PyTorch. An arm's seed draws its weights, its order of rows and its noise, so arms of one seed are a pair;
the verdict is the sign of the median difference of the five pairs, and the table shows all of their range. Small differences with
mixed signs are what they look like. Where the first setting said the contrary there may be one second setting, in a row of its own.

Chosen before any run was looked at, from the papers where they say it, else as the usual value:

* `init`: 30 linear layers of 128 ReLUs on standardised pixels, zero biases, SGD with momentum 0.9, rate 0.01, batch 128, 400 updates.
* `norm`: three convolutions, batches of 2, three epochs, SGD with momentum 0.9, rate 0.1 x 2/256 (the linear rule), cosine to 0.
* `one_cycle`: the same net with batch norm, batch 128, SGD with momentum 0.9 and decay 1e-4. Step: rate 0.1, x 0.1 at each third. One
  cycle: linear from 0.1 to 1.0, ten times the rate of the other as in the paper, 4 epochs; momentum is not cycled. N is 12 epochs.
* `bias`: mammography (2.3 % positive), 6-32-1 ReLU, SGD with momentum 0.9, rate 0.02, batch 128, one epoch. Bias log(n_pos/n_neg) or 0.
* `warm_up`: six post-norm transformer layers of width 64, next character of the SMS, 32 x 32 characters, Adam (0.9, 0.98), Glorot
  weights, 250 updates; peak rate (width x W)^-1/2 with W = 50 (Vaswani et al., eq. 3), then inverse square root. Without warm-up the
  first W updates have the peak rate. A run whose last 25 losses average above the entropy of single characters has stalled.
* `embedding`: reviews of waimai as characters and pairs of characters (seen twice or more), mean of embeddings of width 128 and a
  linear layer, Adam 1e-3, batch 64, one epoch.
* `dropout`: the curve y = x + 0.3 noise, 20 points, two layers of 200 ReLUs, Adam 0.01, 500 updates of all points, dropout 0.5.
* `batch_growth`: the net with batch norm, 12 epochs, SGD with momentum 0.9, rate 0.025 at batch 32; at each third either the rate is
  divided or the batch is multiplied by 5. Equal means within one percentage point (a test score on 2,000 pictures is known to 0.7).
* `sharpness`: 784-256-256-10 ReLU, Adam 1e-3, 30 epochs, batches of 32 against 600 (a tenth of the rows, as Keskar et al.); Keskar's
  measure (full space, 1e-3) and the top eigenvalue of the Hessian on 2,000 training rows.

Pictures are the 6,000 + 2,000 of Fashion-MNIST that are shipped. Mammography and waimai are read from the folder TUNESMITH_SHARED names.
"""

import functools
import gzip
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from data_files import idx, place
from tables import Row, markdown, middle
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.blocks.layers import INITS, NORMS, initialise
from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.schedules import SCHEDULES, Schedule, join, linear_warmup

SEEDS = range(5)
COUNTED = ("stalled",)  # 0 or 1 a seed
Numbers = dict[str, float | None]


class Claim(NamedTuple):
    """`number` of `one` minus that of `other` has this sign; 0: they lie within `within` of each other."""

    number: str
    one: str
    other: str
    sign: int
    within: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """What differs, whose claim it is, and what is looked at first."""

    source: str
    arms: tuple[str, ...]
    run: Callable[[str, int], Numbers]
    claims: tuple[Claim, ...]
    note: str = ""  # written after the runs: the likely cause where they say the contrary


def cases() -> list[dict[str, Any]]:
    return [
        {"experiment": name, "arm": arm, "seed": seed}
        for name, experiment in EXPERIMENTS.items()
        for seed in SEEDS
        for arm in experiment.arms
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(case["seed"])
    found = EXPERIMENTS[case["experiment"]].run(case["arm"], case["seed"])
    return {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}


class Pictures(NamedTuple):
    """Fashion-MNIST, standardised by the training part: (N, 1, 28, 28) and labels (N,)."""

    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor


def pictures() -> Pictures:
    folder = files("tunesmith") / "demo_data" / "fashion_mnist"
    read = [
        torch.from_numpy(idx(folder / f"{part}-{what}-ubyte.gz").copy())
        for part in ("train", "t10k")
        for what in ("images-idx3", "labels-idx1")
    ]
    inputs, test = read[0].float() / 255, read[2].float() / 255
    mean, deviation = inputs.mean(), inputs.std()
    return Pictures(
        ((inputs - mean) / deviation)[:, None], read[1].long(), ((test - mean) / deviation)[:, None], read[3].long()
    )


def order(rows: int, seed: int, size: int, growth: int = 1, every: int = 1) -> Iterator[Tensor]:
    """Batches of row numbers without end, shuffled anew each epoch; each `every` epochs their size is times `growth`."""
    generator = torch.Generator().manual_seed(seed)
    for epoch in itertools.count():
        yield from torch.randperm(rows, generator=generator).split(size * growth ** (epoch // every))


def train(
    model: nn.Module,
    loss: Any,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    batches: Iterator[tuple[Tensor, Tensor]],
    updates: int,
) -> list[float]:
    """The plain loop; the losses it saw. It ends where one is not finite."""
    peak, seen = optimizer.param_groups[0]["lr"], []
    for step, (inputs, target) in enumerate(itertools.islice(batches, updates)):
        for group in optimizer.param_groups:
            group["lr"] = peak * schedule(step)
        value = loss(model(inputs), target).value
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen.append(value.item())
        if not math.isfinite(seen[-1]):
            break
    return seen


@torch.no_grad()
def judged(model: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy in evaluation mode."""
    model.eval()
    outputs = torch.cat([model(part) for part in inputs.split(500)])
    model.train()
    return float(functional.cross_entropy(outputs, labels)), float((outputs.argmax(1) == labels).float().mean())


def taken(inputs: Tensor, target: Tensor, numbers: Iterator[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    return ((inputs[rows], target[rows]) for rows in numbers)


def sgd(model: nn.Module, rate: float, decay: float = 0.0) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay)


def init(arm: str, seed: int) -> Numbers:
    data = pictures()
    widths = [784, *[128] * 29, 10]
    layers = [layer for pair in itertools.pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())][:-1]
    net = initialise(nn.Sequential(nn.Flatten(), *layers), arm)
    batches = taken(data.inputs, data.labels, order(6000, seed, 128))
    train(net, LOSSES["cross_entropy"](), sgd(net, 0.01), SCHEDULES["constant"](400), batches, 400)
    return {"training loss": judged(net, data.inputs, data.labels)[0]}


def convolutions(norm: str) -> nn.Sequential:
    """Three convolutions of 16, 32 and 32 channels, each with its norm; 14 x 14, then 7 x 7."""
    channels, strides = (1, 16, 32, 32), (2, 2, 1)
    parts: list[nn.Module] = []
    for (before, after), stride in zip(itertools.pairwise(channels), strides, strict=True):
        parts += [nn.Conv2d(before, after, 3, stride, 1, bias=False), NORMS[norm](after, dims=2), nn.ReLU()]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def norm(arm: str, seed: int) -> Numbers:
    data, updates = pictures(), 3 * 3000
    net = initialise(convolutions(arm), "he_normal")
    batches = taken(data.inputs, data.labels, order(6000, seed, 2))
    train(net, LOSSES["cross_entropy"](), sgd(net, 0.1 * 2 / 256), SCHEDULES["cosine"](updates), batches, updates)
    loss, accuracy = judged(net, data.test_inputs, data.test_labels)
    return {"test accuracy": accuracy, "test loss": loss}


def one_cycle(arm: str, seed: int) -> Numbers:
    data, cycle = pictures(), arm.startswith("one-cycle")
    updates = (12 if arm.endswith(" N") else 4) * math.ceil(6000 / 128)
    net = initialise(convolutions("batch"), "he_normal")
    batches = taken(data.inputs, data.labels, order(6000, seed, 128))
    schedule = (
        SCHEDULES["one_cycle"](updates, start=10.0, shape="linear")
        if cycle
        else SCHEDULES["step"](updates, every=1 / 3)
    )
    train(net, LOSSES["cross_entropy"](), sgd(net, 1.0 if cycle else 0.1, 1e-4), schedule, batches, updates)
    loss, accuracy = judged(net, data.test_inputs, data.test_labels)
    return {"test accuracy": accuracy, "test loss": loss, "updates": updates}


def bias(arm: str, seed: int) -> Numbers:
    lines = gzip.decompress(place("tabular/mammography_imbalanced.csv.gz").read_bytes()).decode().splitlines()
    values = torch.from_numpy(np.loadtxt(lines[1:], delimiter=","))[torch.randperm(len(lines) - 1)].float()
    held, rows = len(values) // 5, len(values) - len(values) // 5
    mean, deviation = values[held:, :6].mean(0), values[held:, :6].std(0)
    inputs, target = (values[:, :6] - mean) / deviation, (values[:, 6] > 0).float()
    net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    initialise(net, "he_normal")
    if arm == "log odds":
        positive = target[held:].mean()
        nn.init.constant_(net[2].bias, math.log(positive / (1 - positive)))
    loss, found = LOSSES["binary_cross_entropy"](kind="binary"), {}
    optimizer, constant = sgd(net, 0.02), SCHEDULES["constant"](1)
    batches = taken(inputs[held:], target[held:], order(rows, seed, 128))

    def now(what: str) -> None:
        with torch.no_grad():
            found[what] = float(loss(net(inputs[:held]), target[:held]).value)

    now("test loss at start")
    train(net, loss, optimizer, constant, batches, 10)
    now("after 10 updates")
    train(net, loss, optimizer, constant, batches, rows // 128 - 10)
    now("after 1 epoch")
    return found


class PostNorm(nn.Module):
    """x <- norm(x + attention(x)), x <- norm(x + V relu(W x)), causal. Shape: (N, L, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(NORMS["layer"](width, dims=0) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.project(x).chunk(3, -1))
        seen = functional.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).flatten(2)
        x = self.norms[0](x + self.join(seen))
        return self.norms[1](x + self.feed(x))


class Characters(nn.Module):
    """Characters (N, L) to the logits of the next ones (N, L, symbols); positions are learned."""

    def __init__(self, symbols: int, width: int, depth: int, length: int) -> None:
        super().__init__()
        self.table, self.place = nn.Embedding(symbols, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(PostNorm(width, 4) for _ in range(depth)))
        self.head = nn.Linear(width, symbols)
        initialise(self, "xavier_uniform")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.table(x) + self.place.weight))


def sms() -> list[str]:
    held = gzip.decompress((files("tunesmith") / "demo_data" / "sms_1000.csv.gz").read_bytes())
    return held.decode().splitlines()[1:]


def warm_up(arm: str, seed: int, halvings: int = 0) -> Numbers:
    width, warm, updates = 64, 50, 250
    text, length = "\n".join(sms()), 32
    known = sorted(set(text))
    codes = torch.tensor([known.index(letter) for letter in text])
    shares = codes.bincount() / len(codes)
    entropy = -float((shares * shares.log()).sum())
    net = Characters(len(known), width, 6, length)
    optimizer = torch.optim.Adam(net.parameters(), lr=(width * warm) ** -0.5 / 2**halvings, betas=(0.9, 0.98))
    fall = SCHEDULES["inverse_sqrt"](updates, timescale=warm)
    before = linear_warmup(warm) if arm == "warm-up" else SCHEDULES["constant"](warm)
    losses = train(
        net,
        LOSSES["cross_entropy"](kind="language"),
        optimizer,
        join(before, fall, warm),
        cut(codes, length, seed),
        updates,
    )
    last = float(np.mean(losses[-25:]))
    return {"last 25 losses": last, "stalled": float(not last < entropy), "entropy of a character": entropy}


def cut(codes: Tensor, length: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """32 pieces of the text at random places, each with the same piece one character on."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(codes) - length, (32,), generator=generator)
        pieces = codes[starts[:, None] + torch.arange(length + 1)]
        yield pieces[:, :-1], pieces[:, 1:]


def pieces(text: str) -> list[str]:
    """Characters and pairs of neighbours."""
    return [*text, *(first + second for first, second in itertools.pairwise(text))]


class Bag(nn.Module):
    """The mean of the embeddings of a text's pieces, and a linear layer. Shape: (N, L), 0 is no piece -> (N, 2)."""

    def __init__(self, pieces: int, width: int) -> None:
        super().__init__()
        self.table, self.head = nn.EmbeddingBag(pieces, width, padding_idx=0), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x))


def embedding(arm: str, seed: int, plain: bool = False) -> Numbers:
    inputs, labels, size = reviews()
    mixed = torch.randperm(len(inputs))
    held, rest = mixed[:2000], mixed[2000:]
    net = Bag(size, 128)
    with torch.no_grad():
        fill = {
            "N(0, 0.02²)": INITS["normal"],
            "U(±0.05)": lambda weight: weight.uniform_(-0.05, 0.05),
            "Xavier": INITS["xavier_uniform"],
        }
        fill[arm](net.table.weight)
    batches = taken(inputs[rest], labels[rest], order(len(rest), seed, 64))
    optimizer, updates = torch.optim.Adam(net.parameters(), lr=1e-3), math.ceil(len(rest) / 64)
    optimizer = sgd(net, 0.1) if plain else optimizer
    seen = train(net, LOSSES["cross_entropy"](), optimizer, SCHEDULES["constant"](updates), batches, updates)
    loss, accuracy = judged(net, inputs[held], labels[held])
    return {
        "training loss, mean of the epoch": float(np.mean(seen)),
        "test loss": loss,
        "test accuracy": accuracy,
        "table": size,
    }


def reviews(most: int = 200) -> tuple[Tensor, Tensor, int]:
    """Codes (N, most), labels, and the size of the table. Pieces that come once are left out."""
    lines = gzip.decompress(place("text/waimai_10k.csv.gz").read_bytes()).decode().splitlines()[1:]
    cut_up = [pieces(line[2:]) for line in lines]
    counts: dict[str, int] = {}
    for piece in itertools.chain(*cut_up):
        counts[piece] = counts.get(piece, 0) + 1
    known = {piece: code for code, piece in enumerate((p for p, count in counts.items() if count > 1), start=1)}
    codes = torch.zeros(len(lines), most, dtype=torch.long)
    for row, found in enumerate(cut_up):
        held = [known[piece] for piece in found if piece in known][:most]
        codes[row, : len(held)] = torch.tensor(held, dtype=torch.long)
    return codes, torch.tensor([int(line[0]) for line in lines]), len(known) + 1


def dropout(arm: str, seed: int) -> Numbers:
    x, far = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-1, 1, 200)[:, None]
    y, answers = x + 0.3 * torch.randn(x.shape), far + 0.3 * torch.randn(far.shape)
    rate = 0.5 if arm == "dropout" else 0.0
    hidden = [(nn.Linear(before, 200), nn.Dropout(rate), nn.ReLU()) for before in (1, 200)]
    net = nn.Sequential(*itertools.chain(*hidden), nn.Linear(200, 1))
    optimizer, constant = torch.optim.Adam(net.parameters(), lr=0.01), SCHEDULES["constant"](500)
    train(net, LOSSES["mse"](), optimizer, constant, itertools.repeat((x, y)), 500)
    net.eval()
    with torch.no_grad():
        return {
            "test MSE": float(functional.mse_loss(net(far), answers)),
            "training MSE": float(functional.mse_loss(net(x), y)),
        }


def batch_growth(arm: str, seed: int) -> Numbers:
    data, epochs = pictures(), 12
    net = initialise(convolutions("batch"), "he_normal")
    grown = arm == "batch x 5"
    an_epoch = math.ceil(6000 / 32)
    updates = 4 * sum(math.ceil(6000 / size) for size in (32, 160, 800)) if grown else epochs * an_epoch
    schedule = SCHEDULES["constant"](updates) if grown else SCHEDULES["step"](updates, every=4 * an_epoch, gamma=1 / 5)
    batches = taken(data.inputs, data.labels, order(6000, seed, 32, 5 if grown else 1, 4))
    train(net, LOSSES["cross_entropy"](), sgd(net, 0.025), schedule, batches, updates)
    loss, accuracy = judged(net, data.test_inputs, data.test_labels)
    return {"test accuracy": accuracy, "test loss": loss, "updates": updates}


def sharpness(arm: str, seed: int, settled: bool = False) -> Numbers:
    from tunesmith.doctor.probes import hessian_ends, keskar_sharpness

    data, size = pictures(), int(arm.split()[-1])
    updates = 30 * math.ceil(6000 / size)
    widths = (784, 256, 256, 10)
    layers = [layer for pair in itertools.pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())][:-1]
    net = initialise(nn.Sequential(nn.Flatten(), *layers), "he_normal")
    loss, batches = LOSSES["cross_entropy"](), taken(data.inputs, data.labels, order(6000, seed, size))
    optimizer, schedule = torch.optim.Adam(net.parameters(), lr=1e-3), SCHEDULES["cosine" if settled else "constant"]
    train(net, loss, optimizer, schedule(updates), batches, updates)
    seen = [(data.inputs[:2000], data.labels[:2000])]
    ends = hessian_ends(net, loss, seen, iterations=20, seed=seed)
    return {
        "Keskar sharpness": keskar_sharpness(net, loss, seen, epsilon=1e-3, seed=seed).value,
        "top eigenvalue": ends.top.value,
        "test accuracy": judged(net, data.test_inputs, data.test_labels)[1],
        "training loss": judged(net, data.inputs, data.labels)[0],
    }


EXPERIMENTS = {
    "init": Experiment(
        "He et al., 1502.01852, section 2.2: a 30-layer ReLU net learns from He's weights and stalls from Glorot's",
        ("he_normal", "xavier_normal"),
        init,
        (Claim("training loss", "he_normal", "xavier_normal", -1),),
    ),
    "norm": Experiment(
        "Wu & He, 1803.08494, table 2: at batch 2 group norm is far better than batch norm",
        ("group", "batch"),
        norm,
        (Claim("test accuracy", "group", "batch", +1),),
    ),
    "one_cycle": Experiment(
        "Smith & Topin, 1708.07120: one cycle with a large rate does better than steps, in a fraction of the updates",
        ("one-cycle, N/3", "step, N/3", "step, N"),
        one_cycle,
        (
            Claim("test accuracy", "one-cycle, N/3", "step, N/3", +1),
            Claim("test accuracy", "one-cycle, N/3", "step, N", +1),
        ),
        "A third of the updates gets as far as three times as many, not further: the difference to N is below what 2,000 test pictures show. "
        "The net is small and N is short, so that the steps lose little by waiting.",
    ),
    "bias": Experiment(
        "Lin et al., 1708.02002, section 3.3 (and Karpathy's recipe): a last bias at the prior spares the first part of training",
        ("log odds", "0"),
        bias,
        (
            Claim("test loss at start", "log odds", "0", -1),
            Claim("after 10 updates", "log odds", "0", -1),
            Claim("after 1 epoch", "log odds", "0", -1),
        ),
    ),
    "warm_up": Experiment(
        "Xiong et al., 2002.04745: a post-norm transformer needs a warm-up",
        ("warm-up", "none"),
        warm_up,
        (Claim("last 25 losses", "warm-up", "none", -1),),
        "At this peak both arms stall: the rate is beyond what this net bears, with or without a warm-up of 50. Hence a second setting.",
    ),
    "warm_up, second setting": Experiment(
        "the same; the peak rate halved until the arm with warm-up gets below the entropy at a seed of its own (100): once",
        ("warm-up", "none"),
        functools.partial(warm_up, halvings=1),
        (Claim("last 25 losses", "warm-up", "none", -1),),
        "With warm-up three of five learn, without it none; the range is wide because the rate is at the edge of what the net bears.",
    ),
    "embedding": Experiment(
        "a rule of thumb: Xavier on the table (V, d), whose deviation is (2 / (V + d))^1/2, learns slowly",
        ("N(0, 0.02²)", "U(±0.05)", "Xavier"),
        embedding,
        (
            Claim("training loss, mean of the epoch", "N(0, 0.02²)", "Xavier", -1),
            Claim("training loss, mean of the epoch", "U(±0.05)", "Xavier", -1),
            Claim("test loss", "U(±0.05)", "Xavier", -1),
        ),
        "By Adam it makes no difference worth a name: an entry moves by about the rate an update, whatever the gradient, and ten updates of "
        "1e-3 are as large as the table's deviation of 0.009. Hence a second setting.",
    ),
    "embedding, second setting": Experiment(
        "the same by SGD with momentum 0.9, rate 0.1, which does not divide by the size of the gradient",
        ("N(0, 0.02²)", "U(±0.05)", "Xavier"),
        functools.partial(embedding, plain=True),
        (
            Claim("training loss, mean of the epoch", "N(0, 0.02²)", "Xavier", -1),
            Claim("training loss, mean of the epoch", "U(±0.05)", "Xavier", -1),
            Claim("test loss", "U(±0.05)", "Xavier", -1),
        ),
        "The sign is that of the rule at every seed, the size small: the optimizer matters far more than the table.",
    ),
    "dropout": Experiment(
        "Srivastava et al., JMLR 15 (2014): dropout keeps a large net from fitting the noise",
        ("dropout", "none"),
        dropout,
        (Claim("test MSE", "dropout", "none", -1),),
    ),
    "batch_growth": Experiment(
        "Smith et al., 1711.00489: growing the batch is decaying the rate, with fewer updates",
        ("batch x 5", "rate / 5"),
        batch_growth,
        (Claim("test accuracy", "batch x 5", "rate / 5", 0, within=0.01),),
    ),
    "sharpness": Experiment(
        "Keskar et al., 1609.04836: large batches end in sharper minima and do worse on new data, at equal epochs",
        ("batch 32", "batch 600"),
        sharpness,
        (
            Claim("Keskar sharpness", "batch 600", "batch 32", +1),
            Claim("top eigenvalue", "batch 600", "batch 32", +1),
            Claim("test accuracy", "batch 600", "batch 32", -1),
        ),
        "On new data the contrary, by less than a point: at a constant rate the small batches end in noise, which costs them as much as "
        "the sharper place costs the large ones. Hence a second setting.",
    ),
    "sharpness, second setting": Experiment(
        "the same with a cosine to 0, so that both arms end in a minimum, as the paper's do, and not in the noise of a constant rate",
        ("batch 32", "batch 600"),
        functools.partial(sharpness, settled=True),
        (
            Claim("Keskar sharpness", "batch 600", "batch 32", +1),
            Claim("top eigenvalue", "batch 600", "batch 32", +1),
            Claim("test accuracy", "batch 600", "batch 32", -1),
        ),
        "At equal epochs the large batch has made a twentieth of the updates and its training loss is higher: some of its sharpness is that "
        "of a net that is not done. The difference on new data is half a point and within the noise of the test pictures.",
    ),
}


def table(rows: Sequence[Row]) -> str:
    """The claims of all experiments with their verdicts, then each experiment with what its arms measured."""
    newest = {json.dumps(row["case"], sort_keys=True): row for row in rows}.values()
    measured: dict[str, dict[str, dict[int, Any]]] = {}
    for row in newest:
        case = row["case"]
        measured.setdefault(case["experiment"], {}).setdefault(case["arm"], {})[case["seed"]] = row["measured"]
    known = {name: EXPERIMENTS[name] for name in EXPERIMENTS if name in measured}
    claims = [judge(name, claim, measured[name]) for name, experiment in known.items() for claim in experiment.claims]
    head = [
        "experiment",
        "number",
        "difference",
        "the paper",
        "found: median (range)",
        "seeds with this sign",
        "verdict",
    ]
    parts = [markdown(head, [line for line in claims if line])]
    for name, experiment in known.items():
        parts += [f"## {name}", experiment.source + ".", arms(experiment, measured[name])]
        parts += [experiment.note] if experiment.note else []
    return "\n\n".join(parts)


def judge(name: str, claim: Claim, measured: dict[str, dict[int, Any]]) -> list[str] | None:
    """One line: the differences of the pairs of one seed. None where no seed has both arms."""
    one, other = (measured.get(arm, {}) for arm in (claim.one, claim.other))
    differences = [
        value(one[seed], claim.number) - value(other[seed], claim.number) for seed in sorted(one.keys() & other.keys())
    ]
    if not differences:
        return None
    middle = median(differences)
    same = [sign(difference, claim.within) == claim.sign for difference in differences]
    wanted = {1: "above 0", -1: "below 0", 0: f"within {claim.within:g}"}[claim.sign]
    verdict = "as the paper says" if sign(middle, claim.within) == claim.sign else "contrary"
    return [
        name,
        claim.number,
        f"{claim.one} - {claim.other}",
        wanted,
        spread(differences),
        f"{sum(same)} of {len(same)}",
        verdict,
    ]


def value(numbers: dict[str, Any], name: str) -> float:
    """A number that was not finite is as bad as can be: a loss without bound."""
    return math.inf if numbers[name] is None else float(numbers[name])


def sign(difference: float, within: float) -> int:
    return 0 if abs(difference) <= within and within else (difference > 0) - (difference < 0)


def spread(values: Sequence[float]) -> str:
    """The median and the range; one number where all are the same."""
    lowest, highest = middle([min(values)]), middle([max(values)])
    return lowest if lowest == highest else f"{middle(values)} ({lowest} to {highest})"


def told(values: Sequence[float], name: str) -> str:
    return f"{sum(values):.0f} of {len(values)}" if name in COUNTED else spread(values)


def arms(experiment: Experiment, measured: dict[str, dict[int, Any]]) -> str:
    """A line an arm: the median and the range of what it measured."""
    known = [arm for arm in experiment.arms if arm in measured]
    numbers = list(next(iter(measured[known[0]].values())))
    lines = [
        [
            arm,
            *(told([value(each, name) for each in measured[arm].values()], name) for name in numbers),
            str(len(measured[arm])),
        ]
        for arm in known
    ]
    return markdown(["arm", *numbers, "seeds"], lines)
