"""Small programs for tests of outputs and losses: rows that a net can learn, and what checks say of them."""

import torch
from torch import nn

from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records import Inapplicable, Program

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(256, 8, generator=GENERATOR)
LINES = torch.randn(8, 5, generator=GENERATOR)
CLASSES = (X @ LINES).argmax(1)
ANSWERS = (X[:, :1] + 0.3 * torch.randn(256, 1, generator=GENERATOR) > 0.3).float()
NUMBERS = 2 * X[:, :1] + X[:, 1:2]


def net(outputs, *last):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, outputs), *last)


def program(model, loss, target=CLASSES, inputs=X, optimizer=None, epochs=10, **about):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if optimizer is None else optimizer(model.parameters())
    return Program(model, loss, optimizer, (inputs, target), batch_size=32, epochs=epochs, **about)


def found(name, made):
    """What a check finds; nothing where it has nothing to look at."""
    try:
        return list(CHECKS[name].look(bench_of_program(made)))
    except Inapplicable:
        return []


def loud(name, made):
    """Findings above a note."""
    return [one for one in found(name, made) if one.severity != "note"]
