import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import found, loud, net, program

MEAN = nn.CrossEntropyLoss()


def step_of(change):
    def step(model, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        loss = change(loss_fn(model(xb), yb), xb)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def parts_of(count, divided):
    def step(model, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        for x, y in zip(xb.chunk(count), yb.chunk(count), strict=True):
            (loss_fn(model(x), y) / divided).backward()
        optimizer.step()
        return 0.0

    return step


def loop(own, epochs):
    for _ in range(epochs):
        for start in range(0, len(own.train[0]), 32):
            x, y = own.train[0][start : start + 32], own.train[1][start : start + 32]
            own.optimizer.zero_grad()
            (own.loss_fn(own.model(x), y) / len(x)).backward()
            own.optimizer.step()


WRONG = {
    "sum": (nn.CrossEntropyLoss(reduction="sum"), {}, 0.5, 32.0, "outputs.loss_summed"),
    "own sum": (lambda o, y: functional.cross_entropy(o, y) * len(y), {}, 0.5, 32.0, "outputs.loss_summed"),
    "mean of a mean": (
        lambda o, y: functional.cross_entropy(o, y) / len(y),
        {},
        0.1,
        32.0,
        "outputs.loss_divided_twice",
    ),
    "the step divides": (
        MEAN,
        {"step": step_of(lambda loss, x: loss / len(x))},
        0.1,
        32.0,
        "outputs.loss_divided_twice",
    ),
    "the step multiplies": (MEAN, {"step": step_of(lambda loss, x: loss * 200)}, 0.1, 200.0, "outputs.loss_summed"),
    "micro-batches twice": (MEAN, {"step": parts_of(8, 64)}, 0.1, 8.0, "outputs.loss_divided_twice"),
    "the loop divides": (MEAN, {"loop": loop}, 0.1, 32.0, "outputs.loss_divided_twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_scale_that_harms(case):
    loss, about, rate, factor, message = WRONG[case]

    (finding,) = loud("reduction", program(net(5), loss, optimizer=lambda p: torch.optim.SGD(p, rate), **about))

    assert (finding.fault, finding.message) == ("loss.wrong_reduction", message)
    assert finding.values["factor"] == pytest.approx(factor, rel=0.01)


def clipped(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.37)
    optimizer.step()
    return loss.item()


RIGHT = {
    "mean": (MEAN, {}),
    "weighted": (nn.CrossEntropyLoss(weight=torch.arange(1.0, 6.0)), {}),
    "the step does nothing else": (MEAN, {"step": step_of(lambda loss, x: loss)}),
    "micro-batches": (MEAN, {"step": parts_of(4, 4)}),
    "clipped": (MEAN, {"step": clipped}),
    "accumulated": (MEAN, {"accumulate": 4}),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_mean(case):
    loss, about = RIGHT[case]

    assert not found("reduction", program(net(5), loss, **about))


@pytest.mark.parametrize(
    "optimizer", [lambda p: torch.optim.SGD(p, 0.1 / 32), lambda p: torch.optim.Adam(p, 3e-3)], ids=["its rate", "Adam"]
)
def test_a_sum_whose_rate_makes_up_for_it_is_a_note(optimizer):
    (finding,) = found("reduction", program(net(5), nn.CrossEntropyLoss(reduction="sum"), optimizer=optimizer))

    assert finding.severity == "note"
