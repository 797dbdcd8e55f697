"""Programs of people who know their craft, with a slip in a part that is hard to see."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from tunesmith.records import Program
from tunesmith.testing.healthy.data import (
    Parts,
    arm,
    digits,
    drawn,
    fashion,
    message_tokens,
    parted,
    standardised,
    surface,
    table,
    walks,
)
from tunesmith.testing.healthy.pictures import loaded, small_cnn
from tunesmith.testing.healthy.sequences import LetterNet, next_letter
from tunesmith.testing.healthy.tables import mlp
from tunesmith.testing.programs.beginners import fit
from tunesmith.testing.programs.catalogue import failing


def clothes(seed: int, rows: int = 2000) -> Parts:
    x, y = drawn(*fashion(), rows, seed)
    return parted((functional.avg_pool2d(x, 2) / 255 - 0.286) / 0.32, y, seed)


class Pretrained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
        )
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))  # type: ignore[no-any-return]


def head_then_all(program: Program, epochs: int) -> None:
    """The head first, then all of it."""
    program.model.body.requires_grad_(False)
    fit(program, epochs // 4)
    program.model.body.requires_grad_(True)
    fit(program, epochs - epochs // 4)


@failing("thawed_behind_its_back", "optim.unregistered_params", data="fashion")
def thawed_behind_its_back(seed: int, mended: bool) -> Program:
    """The optimizer was given what was trainable at the start; what is thawed later is not in it."""
    train, val, test = clothes(seed)
    model = Pretrained()
    optimizer = torch.optim.Adam(model.parameters() if mended else model.head.parameters(), lr=5e-3)
    about: dict[str, Any] = {
        "test": test,
        "batch_size": 32,
        "epochs": 12,
        "loop": head_then_all,
        "metric": "accuracy",
        "num_classes": 10,
    }
    return Program(model, nn.CrossEntropyLoss(), optimizer, loaded(train, 32, seed), val, **about)


def fit_by_batch(program: Program, epochs: int) -> None:
    """A schedule that moves with every batch."""
    for _ in range(epochs):
        program.model.train()
        for xb, yb in program.train:
            program.optimizer.zero_grad()
            program.loss_fn(program.model(xb), yb).backward()
            program.optimizer.step()
            program.scheduler.step()


@failing("halved_every_batch", "lr.bad_schedule", "lr.too_low", data="walks")
def halved_every_batch(seed: int, mended: bool) -> Program:
    """Nine tenths of the rate with every epoch, as it was thought; it is with every batch."""
    train, val, test = parted(*walks(1000, 28, seed), seed)
    model = LetterNet(24, tied=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batches = 19
    scheduler = LambdaLR(optimizer, lambda step: 0.9 ** (step // batches if mended else step))
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 12, "metric": "accuracy", "num_classes": 24}
    about |= {"loop": fit_by_batch, "scheduler": scheduler, "schedule_unit": "step"}
    return Program(model, next_letter, optimizer, loaded(train, 32, seed), val, **about)


class Attended(nn.Module):
    """A weighted mean of the words of a text; what fills up is masked out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(600, 32, padding_idx=0)
        self.score = nn.Linear(32, 1)
        self.out = nn.Linear(32, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        words = self.embedding(tokens)
        scores = self.score(words)[..., 0].masked_fill(tokens == 0, -math.inf)
        return self.out((scores.softmax(1)[..., None] * words).sum(1))[:, 0]  # type: ignore[no-any-return]


@failing("text_with_no_word_known", "numerics.unsafe_op", "data.missing", data="sms")
def text_with_no_word_known(seed: int, mended: bool) -> Program:
    """Rare words are left out; a text that has no other is masked wholly, and its softmax is 0 / 0."""
    x, y = message_tokens()
    kept = x.masked_fill(x == 1, 0).sort(dim=1, descending=True).values
    if mended:
        kept[kept.sum(1) == 0, 0] = 1
    else:
        kept[torch.arange(7, len(kept), 97)] = 0  # greetings in another script
    train, val, test = parted(kept, y.float(), seed)
    model = Attended()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 8, "loop": fit, "metric": "roc_auc"}
    return Program(model, nn.BCEWithLogitsLoss(), optimizer, loaded(train, 32, seed), val, **about)


def fit_then_judge(program: Program, epochs: int) -> None:
    """`train()` before the loop, `eval()` in it."""
    program.model.train()
    for _ in range(epochs):
        for xb, yb in program.train:
            program.optimizer.zero_grad()
            program.loss_fn(program.model(xb), yb).backward()
            program.optimizer.step()
        program.model.eval()
        with torch.no_grad():
            program.model(program.val[0])


def fit_and_judge(program: Program, epochs: int) -> None:
    for _ in range(epochs):
        fit(program, 1)
        program.model.eval()
        with torch.no_grad():
            program.model(program.val[0])


@failing("judged_and_left_so", "model.train_eval_mode", "model.bad_normalization", data="digits")
def judged_and_left_so(seed: int, mended: bool) -> Program:
    """After the first validation the model stays in evaluation mode."""
    x, y = digits()
    train, val, test = parted(x, y, seed)  # the norm in front sees to the range
    model = nn.Sequential(
        nn.Flatten(),
        nn.BatchNorm1d(64, momentum=0.001),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    about: dict[str, Any] = {"test": test, "batch_size": 64, "epochs": 12, "metric": "accuracy", "num_classes": 10}
    loop = fit_and_judge if mended else fit_then_judge
    return Program(model, nn.CrossEntropyLoss(), optimizer, loaded(train, 64, seed), val, loop=loop, **about)


@failing("two_pictures_a_batch", "batch.too_small", "model.bad_normalization", "lr.too_high", data="fashion")
def two_pictures_a_batch(seed: int, mended: bool) -> Program:
    """Batch norm over two pictures at a rate for sixty-four."""
    train, val, test = clothes(seed, 1200)
    net = [
        nn.Conv2d(1, 12, 3, stride=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2),
        nn.BatchNorm2d(24),
        nn.ReLU(),
    ]
    model = nn.Sequential(*net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))
    size = 32 if mended else 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    about: dict[str, Any] = {
        "test": test,
        "batch_size": size,
        "epochs": 8,
        "loop": fit,
        "metric": "accuracy",
        "num_classes": 10,
    }
    return Program(model, nn.CrossEntropyLoss(), optimizer, loaded(train, size, seed), val, **about)


def fit_in_two_stages(program: Program, epochs: int) -> None:
    """A short first stage, a long second one with a rate of its own, read from the settings of another model."""
    fit(program, epochs // 2)
    for group in program.optimizer.param_groups:
        group["lr"] *= 100
    fit(program, epochs - epochs // 2)


@failing("second_stage_of_another_model", "lr.bad_schedule", "lr.too_high", data="digits")
def second_stage_of_another_model(seed: int, mended: bool) -> Program:
    x, y = digits()
    train, val, test = parted((x - 8) / 8, y, seed)
    model = small_cnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 12, "metric": "accuracy", "num_classes": 10}
    loop = fit if mended else fit_in_two_stages
    return Program(model, nn.CrossEntropyLoss(), optimizer, loaded(train, 32, seed), val, loop=loop, **about)


@failing("twenty_layers_of_one_width", "act.unsuitable", "init.bad_scale", "grad.vanishing", data="arm")
def twenty_layers_of_one_width(seed: int, mended: bool) -> Program:
    """Depth for a plain map: twenty layers with nothing that leads around them."""
    train, val, test = standardised(parted(*arm(1200, seed), seed))
    depth = 2 if mended else 20
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), *hidden, nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 15, "loop": fit, "metric": "r2"}
    return Program(model, nn.MSELoss(), optimizer, loaded(train, 32, seed), val, **about)


@failing("twenty_patients", "fit.overfit", data="breast_cancer")
def twenty_patients(seed: int, mended: bool) -> Program:
    """A wide net over thirty columns and few rows with noise in their labels, trained to the end."""
    x, y = table("breast_cancer")
    train, val, test = standardised(parted(x, y, seed))
    flipped = torch.randperm(len(train[1]))[: len(train[1]) // 6]
    if not mended:
        labels = train[1].clone()
        labels[flipped] = 1 - labels[flipped]
        train = (train[0][:60], labels[:60])
    model = nn.Sequential(nn.Linear(30, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    about: dict[str, Any] = {
        "test": test,
        "batch_size": 16,
        "epochs": 12 if mended else 150,
        "loop": fit,
        "metric": "accuracy",
    }
    return Program(model, nn.CrossEntropyLoss(), optimizer, loaded(train, 16, seed), val, num_classes=2, **about)


class PositiveScale(nn.Module):
    """A mean and a spread by its logarithm, without bounds."""

    def __init__(self, bounded: bool) -> None:
        super().__init__()
        self.net, self.bounded = mlp(10, 2, width=32), bounded

    def forward(self, x: Tensor) -> Tensor:
        mean, log_spread = self.net(x).chunk(2, 1)
        return torch.cat([mean, log_spread.clamp(-2, 3) if self.bounded else 100 * log_spread], 1)


def likelihood(outputs: Tensor, target: Tensor) -> Tensor:
    mean, log_spread = outputs.chunk(2, 1)
    return (log_spread + 0.5 * ((target - mean) / log_spread.exp()) ** 2).mean()


@failing("certain_without_bounds", "numerics.unsafe_op", "data.unscaled_targets", "lr.too_high", data="surface")
def certain_without_bounds(seed: int, mended: bool) -> Program:
    """A spread that may become as small as it likes."""
    train, val, test = parted(*surface(1200, seed), seed)
    model = PositiveScale(mended)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    about: dict[str, Any] = {
        "test": test,
        "batch_size": 32,
        "epochs": 25,
        "loop": fit,
        "metric": "r2",
        "predict": first_column,
    }
    return Program(model, likelihood, optimizer, loaded(train, 32, seed), val, **about)


def first_column(outputs: Tensor) -> Tensor:
    return outputs[:, :1]


def fit_and_go_on(program: Program, epochs: int) -> None:
    """A job that ends after two thirds, and its successor, which reads the weights from a file."""
    first = epochs * 2 // 3
    for _ in range(first):
        fit(program, 1)
        program.scheduler.step()
    program.model.load_state_dict(copy.deepcopy(program.model.state_dict()))
    optimizer = torch.optim.SGD(program.model.parameters(), lr=program.scheduler.base_lrs[0], momentum=0.99)
    program.optimizer.load_state_dict(optimizer.state_dict())
    program.optimizer.state.clear()
    for _ in range(epochs - first):
        fit(program, 1)


def fit_with_schedule(program: Program, epochs: int) -> None:
    for _ in range(epochs):
        fit(program, 1)
        program.scheduler.step()


@failing("went_on_from_weights_alone", "optim.lost_state", "lr.bad_schedule", "lr.too_high", data="digits")
def went_on_from_weights_alone(seed: int, mended: bool) -> Program:
    """The second job begins with the first rate, without the moments, and with settings of its own."""
    x, y = digits()
    train, val, test = parted((x.flatten(1) - 4.9) / 6.0, y, seed)
    model = mlp(64, 10, width=48)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 15, "metric": "accuracy", "num_classes": 10}
    scheduler = CosineAnnealingLR(optimizer, T_max=15)
    loop = fit_with_schedule if mended else fit_and_go_on
    return Program(
        model, nn.CrossEntropyLoss(), optimizer, loaded(train, 32, seed), val, loop=loop, scheduler=scheduler, **about
    )
