"""Small programs on real data for the tests of the checks on loop, order and short trainings."""

from functools import cache

import numpy as np
import sklearn.datasets as sets
import torch
from torch import nn

from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records import Program

WIDTH = 32


@cache
def digits(rows=600):
    X, y = sets.load_digits(return_X_y=True)
    mixed = np.random.default_rng(0).permutation(len(X))
    X = ((X - X.mean()) / X.std()).astype(np.float32)[mixed]
    y = y[mixed].astype(np.int64)
    return (X[:rows], y[:rows]), (X[rows : rows + 300], y[rows : rows + 300])


def diabetes():
    X, y = sets.load_diabetes(return_X_y=True)
    X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    y = ((y - y.mean()) / y.std()).astype(np.float32)[:, None]
    return (X[:340], y[:340]), (X[340:], y[340:])


def mlp(inputs=64, outputs=10, *middle, width=WIDTH):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, width), *middle, nn.ReLU(), nn.Linear(width, outputs))


def program(model=None, *, optimizer=None, lr=0.1, data=None, loss=None, **about):
    """A sound program on digits; anything may be changed."""
    model = mlp() if model is None else model
    train, val = digits() if data is None else data
    made = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9) if optimizer is None else optimizer(model)
    about = {"batch_size": 32, "epochs": 8} | about
    scheduler = about.pop("scheduler", None)
    if scheduler is not None:
        about["scheduler"] = scheduler(made)
    return Program(model, nn.CrossEntropyLoss() if loss is None else loss, made, train, val, **about)


def regression(**about):
    about.setdefault("data", diabetes())
    model = about.pop("model", None) or mlp(10, 1)
    return program(model, loss=about.pop("loss", nn.MSELoss()), **({"lr": 0.02} | about))


def findings(name, brought, *, above="note"):
    """What a check finds in a program, without the notes."""
    bench = bench_of_program(brought)
    with bench.guarded():
        found = list(CHECKS[name].look(bench))
    for one in found:
        assert one.fault in CHECKS[name].faults
        assert one.because
        assert one.text("zh")
        assert one.evidence
    return [one for one in found if above == "" or one.severity != above]


def usual_step(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


def batches(data, size, order=None):
    X, y = torch.as_tensor(data[0]), torch.as_tensor(data[1])
    order = torch.randperm(len(X)) if order is None else order
    for start in range(0, len(X), size):
        yield X[order[start : start + size]], y[order[start : start + size]]


def usual_loop(own, epochs):
    """A training loop as many write it."""
    for epoch in range(epochs):
        own.model.train()
        for xb, yb in batches(own.train, own.batch_size):
            usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)
        if own.scheduler is not None:
            own.scheduler.step()
        own.model.eval()
        right = 0
        with torch.no_grad():
            for xb, yb in batches(own.val, own.batch_size):
                right += (own.model(xb).argmax(1) == yb).sum().item()
        print("epoch", epoch, "right", right)
        with open("last.txt", "w") as file:
            file.write(str(right))
