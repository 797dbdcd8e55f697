import pytest
import torch
from torch import nn

from tests.preflight.planted import batches, findings, mlp, program, usual_loop, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records.check import Inapplicable


def never(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


def never_and_clipped(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss.item()


def misplaced(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def too_early(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    optimizer.step()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    return loss.item()


def after(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    for parameter in model.parameters():
        parameter.grad = None
    return loss.item()


def never_in_loop(own, epochs):
    for _ in range(epochs):
        for xb, yb in batches(own.train, own.batch_size):
            own.loss_fn(own.model(xb), yb).backward()
            own.optimizer.step()


def never_with_own_optimizer(own, epochs):
    optimizer = torch.optim.Adam(own.model.parameters(), lr=0.01)
    for _ in range(epochs):
        for xb, yb in batches(own.train, own.batch_size):
            own.loss_fn(own.model(xb), yb).backward()
            optimizer.step()


def accumulating(every, clear_each_time=False):
    calls = [0]

    def step(model, loss_fn, optimizer, xb, yb):
        if clear_each_time:
            optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        (loss / every).backward()
        calls[0] += 1
        if calls[0] % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return step


@pytest.mark.parametrize(
    "about",
    [
        {"step": never},
        {"step": never_and_clipped},
        {"loop": never_in_loop},
        {"loop": never_with_own_optimizer},
        {"step": never, "optimizer": lambda model: torch.optim.AdamW(model.parameters())},
    ],
)
def test_gradients_that_are_never_cleared(about):
    (found,) = findings("zero_grad", program(**about))

    assert found.severity == "error"
    assert found.evidence[0].value < 1e-3
    assert "never cleared" in found.because


@pytest.mark.parametrize("step", [misplaced, too_early])
def test_gradients_that_are_cleared_before_they_are_used(step):
    (found,) = findings("zero_grad", program(step=step))

    assert found.severity == "error"
    assert "found nothing" in found.because


def test_accumulation_that_accumulates_nothing():
    (found,) = findings("zero_grad", program(step=accumulating(4, clear_each_time=True), accumulate=4))

    assert found.severity == "warning"


def sharpness_aware(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss_fn(model(xb), yb).backward()
    moves = [0.05 * parameter.grad for parameter in model.parameters()]
    with torch.no_grad():
        for parameter, move in zip(model.parameters(), moves, strict=True):
            parameter += move
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    with torch.no_grad():
        for parameter, move in zip(model.parameters(), moves, strict=True):
            parameter -= move
    optimizer.step()
    return loss.item()


def two_optimizers(own, epochs):
    first = torch.optim.SGD(own.model[0].parameters(), lr=0.1)
    last = torch.optim.SGD(own.model[2].parameters(), lr=0.1)
    for _ in range(epochs):
        for number, (xb, yb) in enumerate(batches(own.train, own.batch_size)):
            chosen = (first, last)[number % 2]
            chosen.zero_grad()
            own.loss_fn(own.model(xb), yb).backward()
            chosen.step()


@pytest.mark.parametrize(
    "about",
    [
        {"step": usual_step},
        {"step": after},
        {"step": accumulating(4), "accumulate": 4},
        {"step": accumulating(2)},
        {"step": sharpness_aware},
        {"loop": usual_loop},
        {"loop": two_optimizers},
        {
            "step": usual_step,
            "clip_norm": 1.0,
            "optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
        },
    ],
)
def test_sound_steps_are_quiet(about):
    assert findings("zero_grad", program(**about), above="") == []


def test_nothing_to_look_at():
    bench = bench_of_program(program(mlp()))

    with pytest.raises(Inapplicable, match="the usual one"):
        list(CHECKS["zero_grad"].look(bench))
