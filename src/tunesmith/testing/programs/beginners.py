"""First programs: a net, a loss, a loop, and something that a colleague would have seen."""

from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import Program
from tunesmith.testing.healthy.data import (
    adult,
    digits,
    labelled_many,
    message_tokens,
    parted,
    rare,
    sentences,
    standardised,
    standardised_target,
    table,
    waves,
)
from tunesmith.testing.healthy.pictures import loaded
from tunesmith.testing.healthy.sequences import LETTERS, LastState, LetterNet, next_letter
from tunesmith.testing.healthy.tables import mlp
from tunesmith.testing.programs.catalogue import failing


def fit(program: Program, epochs: int) -> None:
    """The loop of most first programs."""
    for _ in range(epochs):
        program.model.train()
        for xb, yb in program.train:
            program.optimizer.zero_grad()
            loss = program.loss_fn(program.model(xb), yb)
            loss.backward()
            program.optimizer.step()


@failing(
    "written_digits_first_net",
    "act.unsuitable",
    "output.wrong_activation",
    "lr.too_low",
    data="digits",
)
def written_digits_first_net(seed: int, mended: bool) -> Program:
    """Sigmoids all the way, a softmax before the loss that has one, plain descent."""
    x, y = digits()
    train, val, test = parted(x.flatten(1) / 16, y, seed)
    act = nn.ReLU if mended else nn.Sigmoid
    layers = [nn.Linear(64, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 10)]
    model = nn.Sequential(*layers) if mended else nn.Sequential(*layers, nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 if mended else 0.01, momentum=0.9 if mended else 0.0)
    fed = loaded(train, 32, seed)
    about: dict[str, Any] = {
        "test": test,
        "batch_size": 32,
        "epochs": 15,
        "loop": fit,
        "metric": "accuracy",
        "num_classes": 10,
    }
    return Program(model, nn.CrossEntropyLoss(), optimizer, fed, val, **about)


@failing("illness_in_its_own_unit", "data.unscaled_targets", "lr.too_high", data="diabetes")
def illness_in_its_own_unit(seed: int, mended: bool) -> Program:
    """A score between 25 and 346 fitted as it stands, by plain descent with momentum."""
    x, y = table("diabetes")
    parts = standardised(parted(x, y[:, None], seed))
    train, val, test = standardised_target(parts) if mended else parts
    model = mlp(10, 1, width=24)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    about: dict[str, Any] = {"test": test, "batch_size": 16, "epochs": 20, "loop": fit, "metric": "r2"}
    return Program(model, nn.MSELoss(), optimizer, loaded(train, 16, seed), val, **about)


@failing("income_from_raw_columns", "data.unscaled_inputs", "lr.too_high", data="adult")
def income_from_raw_columns(seed: int, mended: bool) -> Program:
    """Six columns as they come, one of them in hundred thousands."""
    numbers, _, labels = adult()
    parts = parted(numbers, labels.float()[:, None], seed)
    train, val, test = standardised(parts) if mended else parts
    model = mlp(6, 1, width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 10, "loop": fit, "metric": "roc_auc"}
    return Program(model, nn.BCEWithLogitsLoss(), optimizer, loaded(train, 32, seed), val, **about)


@failing("wine_as_measured", "data.unscaled_inputs", "lr.too_high", data="wine")
def wine_as_measured(seed: int, mended: bool) -> Program:
    parts = parted(*table("wine"), seed)
    train, val, test = standardised(parts) if mended else parts
    model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    about: dict[str, Any] = {
        "test": test,
        "batch_size": 16,
        "epochs": 30,
        "loop": fit,
        "metric": "accuracy",
        "num_classes": 3,
    }
    return Program(model, nn.CrossEntropyLoss(), optimizer, loaded(train, 16, seed), val, **about)


@failing("next_value_in_a_row", "loss.shape_broadcast", data="waves")
def next_value_in_a_row(seed: int, mended: bool) -> Program:
    """Targets (N,) beside outputs (N, 1)."""
    x, y = waves(1000, 16, seed)
    train, val, test = parted(x, y if mended else y[:, 0], seed)
    model = LastState(nn.GRU, 1, 16, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 8, "loop": fit, "metric": "r2"}
    return Program(model, nn.MSELoss(), optimizer, loaded(train, 32, seed), val, **about)


def letters_step(
    model: nn.Module, loss_fn: nn.Module, optimizer: torch.optim.Optimizer, xb: Tensor, yb: Tensor
) -> float:
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return float(loss.item())


@failing("letters_without_clearing", "optim.missing_zero_grad", data="letters")
def letters_without_clearing(seed: int, mended: bool) -> Program:
    """A step that never clears the gradients."""
    train, val, test = parted(*sentences(600, 40, seed), seed)
    model = LetterNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 12, "metric": "accuracy", "num_classes": LETTERS}
    step = None if mended else letters_step
    return Program(model, next_letter, optimizer, train, val, step=step, **about)


class Spam(nn.Module):
    """Words, a recurrent layer, the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(600, 32)
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (last, _) = self.lstm(self.embedding(tokens.flip(1)))
        return self.out(last[0])[:, 0]  # type: ignore[no-any-return]


@failing("messages_at_one_tenth", "lr.too_high", data="sms")
def messages_at_one_tenth(seed: int, mended: bool) -> Program:
    """Adam at 0.1, or ten times that, for a recurrent net."""
    x, y = message_tokens()
    train, val, test = parted(x, y.float(), seed)
    model = Spam()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3 if mended else 0.3)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 8, "loop": fit, "metric": "roc_auc"}
    return Program(model, nn.BCEWithLogitsLoss(), optimizer, loaded(train, 32, seed), val, **about)


@failing("one_in_twelve_overlooked", "data.class_imbalance", "fit.too_few_epochs", data="rare")
def one_in_twelve_overlooked(seed: int, mended: bool) -> Program:
    """A rare class, neither weighted nor drawn more often, and three epochs at a small rate."""
    train, val, test = parted(*rare(2000, seed), seed)
    model = mlp(6, 2, width=16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if mended else 0.01, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 11.0]) if mended else None)
    about: dict[str, Any] = {"test": test, "batch_size": 64, "epochs": 12 if mended else 3, "loop": fit}
    return Program(
        model, loss_fn, optimizer, loaded(train, 64, seed), val, metric="balanced_accuracy", num_classes=2, **about
    )


@failing("many_answers_as_one", "output.wrong_activation", data="many_labels")
def many_answers_as_one(seed: int, mended: bool) -> Program:
    """Four yes-no answers behind one softmax."""
    train, val, test = parted(*labelled_many(1200, seed), seed)
    last = nn.Sigmoid() if mended else nn.Softmax(dim=1)
    model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 4), last)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 15, "loop": fit, "metric": "accuracy"}
    predict = at_half
    return Program(model, nn.BCELoss(), optimizer, loaded(train, 32, seed), val, predict=predict, **about)


def at_half(outputs: Tensor) -> Tensor:
    return outputs > 0.5


def fit_sorted(program: Program, epochs: int) -> None:
    """Batches by hand, one after the other."""
    x, y = program.train
    for _ in range(epochs):
        for start in range(0, len(y), program.batch_size):
            rows = slice(start, start + program.batch_size)
            program.optimizer.zero_grad()
            program.loss_fn(program.model(x[rows]), y[rows]).backward()
            program.optimizer.step()


@failing("written_digits_one_by_one", "data.unshuffled", data="digits")
def written_digits_one_by_one(seed: int, mended: bool) -> Program:
    """A folder for each digit, read one after the other."""
    x, y = digits()
    train, val, test = parted((x.flatten(1) - 4.9) / 6.0, y, seed)
    order = torch.randperm(len(train[1])) if mended else train[1].argsort(stable=True)
    model = mlp(64, 10, width=32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    about: dict[str, Any] = {"test": test, "batch_size": 32, "epochs": 10, "loop": fit_sorted, "shuffle": mended}
    rows = (train[0][order], train[1][order])
    return Program(model, nn.CrossEntropyLoss(), optimizer, rows, val, metric="accuracy", num_classes=10, **about)
