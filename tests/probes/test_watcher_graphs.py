"""Graphs that outlive their updates, and squares in a loss."""

import pytest
import torch
from torch.nn import functional

from tests.probes.looped import classes, net, numbers
from tunesmith.doctor.probes.watcher_graphs import Graphs


def looped(keep, updates=64):
    """What the onlooker tells of a loop that calls `keep(loss, outputs)` after each update."""
    model, (x, y), onlooker = net(), classes(), Graphs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    try:
        for call in range(1, updates + 1):
            optimizer.zero_grad()
            outputs = model(x[:32])
            loss = functional.cross_entropy(outputs, y[:32])
            loss.backward()
            optimizer.step()
            keep(loss, outputs)
            onlooker.seen(call)
    finally:
        onlooker.close()
    return onlooker.facts().get("graphs")


def test_losses_in_a_list_keep_their_graphs():
    kept, numbers_alone, last = [], [], []

    def the_last(loss, outputs):
        last.append(loss)
        del last[:-3]

    told = looped(lambda loss, outputs: kept.append(loss))

    assert told["alive"] == told["of"] > 8
    assert told["span"] == 63
    assert (told["holder"]["kind"], told["holder"]["name"], told["holder"]["scalar"]) == ("graphs", "kept", True)
    assert looped(lambda loss, outputs: numbers_alone.append(loss.item())) is None
    assert looped(lambda loss, outputs: numbers_alone.append(loss.detach())) is None
    assert looped(the_last) is None


def test_a_sum_of_losses_is_a_chain():
    total = torch.zeros(())

    def add(loss, outputs):
        nonlocal total
        total = total + loss

    assert looped(add)["alive"] > 8


def test_what_is_let_go_at_the_end_of_an_epoch_is_said_so():
    kept = []

    def keep(loss, outputs):
        kept.append((loss, outputs))
        if len(kept) == 40:
            kept.clear()

    assert looped(keep, updates=64)["freed"]


def lossy(loss_fn, outputs=1, updates=6, x=None, y=None):
    """What the onlooker tells of the squares in a loss."""
    model, onlooker = net(outputs=outputs), Graphs()
    found = numbers()
    x, y = (found[0], found[1][:, 0]) if x is None else (x, y)
    try:
        for call in range(1, updates + 1):
            model.zero_grad()
            loss_fn(model(x[32 * call - 32 : 32 * call]), y[32 * call - 32 : 32 * call]).backward()
            onlooker.seen(call)
    finally:
        onlooker.close()
    return onlooker.facts().get("broadcast")


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda scores, y: (functional.softplus(scores) - y * scores).mean(),
        lambda scores, y: (functional.softplus(scores) - y * scores).mean(0).mean(),
        lambda scores, y: (scores - y).square().sum(1).mean() / 7,
        lambda scores, y: ((y - scores) ** 2).mean().sqrt(),
        lambda scores, y: (scores.T * y[:, None]).mean() + scores.square().mean(),
    ],
)
def test_a_column_that_meets_a_row(loss_fn):
    told = lossy(loss_fn)

    assert (told["looks"], told["of"], told["rows"]) == (6, 6, 32)


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda scores, y: (scores[:, 0] - y).square().mean(),
        lambda scores, y: (scores - y[:, None]).square().mean(),
        lambda scores, y: functional.softplus(-(scores - scores.T) * (y[:, None] - y).sign()).mean(),  # pairs in order
        lambda scores, y: 2 * (scores - y).abs().mean() - (scores - scores.T).abs().mean(),  # energy distance
        lambda scores, y: ((y[:, None] > y) * scores).logsumexp(0).mean(),  # sets at risk
        lambda scores, y: (scores - torch.linspace(0, 1, 5)).square().mean(),  # quantiles
    ],
)
def test_rows_that_meet_on_purpose_or_not_at_all(loss_fn):
    assert lossy(loss_fn) is None


def test_rows_that_meet_in_a_product_of_matrices():
    def contrast(h, y):
        return functional.cross_entropy(h @ h.detach().T, torch.arange(len(h)))

    assert lossy(contrast, outputs=8) is None


def test_nothing_is_left_of_it():
    before = torch.autograd.backward

    looped(lambda loss, outputs: None)

    assert torch.autograd.backward is before


def ranges(loss_fn, rows=320):
    """What is told of exponentials, over ten batches of a net with a mean and the logarithm of a spread."""
    model, onlooker, (x, y) = net(outputs=2), Graphs(), numbers(rows)
    try:
        for call in range(1, 11):
            batch = slice(32 * call - 32, 32 * call)
            loss_fn(*model(x[batch]).chunk(2, 1), y[batch]).backward()
            onlooker.seen(call)
    finally:
        onlooker.close()
    return onlooker.facts().get("exponential")


def test_an_exponential_that_weighs_rows_is_seen_with_its_range():
    def wide(mean, log_spread, y):
        return (100 * log_spread + ((y - mean) / (100 * log_spread).exp()) ** 2).mean()

    def narrow(mean, log_spread, y):
        return (log_spread + (y - mean).square() * (-log_spread).exp()).mean()

    told = [ranges(loss) for loss in (wide, narrow)]

    assert told[0]["widest"] > told[0]["precise"] > 5 * told[1]["widest"] > 0
    assert (told[0]["looks"], told[0]["precise"]) == (9, pytest.approx(15.94, abs=0.01))


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda mean, scores, y: (scores.exp() - y * scores).mean(),  # counts
        lambda mean, scores, y: -(scores.exp() / scores.exp().sum(0)).log().mean() + (mean - y).square().mean(),
        lambda mean, scores, y: (mean - y).square().mean(),
    ],
)
def test_exponentials_that_weigh_nothing(loss_fn):
    found = ranges(loss_fn)

    assert found is None or found["widest"] < 5
