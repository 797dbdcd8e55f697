"""Modes, gradients, parameters and the first rate of live loops."""

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, net, plain, train
from tunesmith.doctor.probes.watcher_invariants import as_drawn, moody, unregistered


def facts_of(model, *, loss_fn=None, **how):
    return train(model, loss_fn or nn.CrossEntropyLoss(), classes(), **how).facts()


def test_a_sound_loop_breaks_nothing():
    told = facts_of(net())

    assert told["training_passes"] == told["made"] == 30
    assert told["updates"] == told["backwards"] == told["windows"] == 8, "of the updates looked at"
    assert told["kept"] == told["emptied"] == told["asleep_passes"] == 0
    assert told["kept_of"] > 3
    assert told["emptied_of"] > 3
    assert told["changed"]
    assert told["parts"] == {}


def never_cleared(model, optimizer, loss_fn, x, y):
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def cleared_too_late(model, optimizer, loss_fn, x, y):
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.detach()


def cleared_to_zeros(model, optimizer, loss_fn, x, y):
    optimizer.zero_grad(set_to_none=False)
    loss = loss_fn(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss.detach()


def gathered(model, optimizer, loss_fn, x, y):
    optimizer.zero_grad()
    total = torch.zeros(())
    for part, answers in zip(x.split(8), y.split(8), strict=True):
        loss = loss_fn(model(part), answers) / 4
        loss.backward()
        total += loss.detach()
    optimizer.step()
    return total


def two_players(model, optimizer, loss_fn, x, y):
    """The second player's backward pass leaves gradients in the first, which are cleared before its own."""
    loss = plain(model, optimizer, loss_fn, x, y)
    loss_fn(model(x), y).backward()
    return loss


def decayed_by_hand(model, optimizer, loss_fn, x, y):
    """A momentum of one's own: what is left is a part of the gradient before, not that gradient."""
    for each in model.parameters():
        if each.grad is not None:
            each.grad.mul_(0.5)
    return never_cleared(model, optimizer, loss_fn, x, y)


def test_gradients_that_are_never_cleared():
    told = facts_of(net(), update=never_cleared)

    assert told["kept"] == told["kept_of"] > 3
    assert told["windows"] == 1  # the first alone


def test_gradients_that_are_cleared_before_the_step():
    told = facts_of(net(), update=cleared_too_late)

    assert told["emptied"] == told["emptied_of"] > 3


@pytest.mark.parametrize("update", [cleared_to_zeros, gathered, two_players, decayed_by_hand])
def test_loops_that_only_look_so(update):
    told = facts_of(net(), update=update)

    assert told["kept"] == told["emptied"] == 0


def test_a_closure_is_no_slip():
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def update(model, optimizer, loss_fn, x, y):
        def closure():
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure).detach()

    told = facts_of(model, optimizer=optimizer, update=update, epochs=1)

    assert told["closure"]
    assert told.get("kept", 0) == told.get("emptied", 0) == 0
    assert told["parts"] == {}


def test_a_step_that_is_never_taken():
    def update(model, optimizer, loss_fn, x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        return loss.detach()

    told = facts_of(net(), update=update)

    assert told["updates"] == 0
    assert told["backwards"] == 30
    assert told["changed"] is False


def test_weights_outside_the_optimizer():
    model = net()

    told = facts_of(model, optimizer=torch.optim.SGD(model[2].parameters(), lr=0.1))

    assert told["parts"]["outside"]["names"] == ["0.weight", "0.bias"]
    assert told["parts"]["outside"]["drawn"] == 1.0


def test_weights_that_another_optimizer_moves_are_not_outside():
    model = net()
    other = torch.optim.SGD(model[0].parameters(), lr=0.1)

    def update(model, optimizer, loss_fn, x, y):
        other.zero_grad()
        loss = plain(model, optimizer, loss_fn, x, y)
        other.step()
        return loss

    told = facts_of(model, optimizer=torch.optim.SGD(model[2].parameters(), lr=0.1), update=update)

    assert told["parts"] == {}


class Cut(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.first, self.last, self.spare, self.cut = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(3, 3), cut

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.last(h.detach() if self.cut else h)


def test_weights_behind_a_detach_are_cut_and_those_never_run_are_unused():
    parts = facts_of(Cut(True))["parts"]

    assert parts["cut"]["names"] == ["first.weight", "first.bias"]
    assert parts["unused"]["names"] == ["spare.weight", "spare.bias"]
    assert "cut" not in facts_of(Cut(False))["parts"]


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8)]
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def test_layers_in_a_plain_list():
    parts = facts_of(Listed())["parts"]

    assert parts["unregistered"]["names"] == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.weight",
        "layers.2.bias",
    ]
    assert [name for name, _ in unregistered(net())] == []


def test_frozen_weights_are_told_apart_by_whether_the_optimizer_was_given_them():
    held, left = net(), net()
    for model in (held, left):
        model[0].requires_grad_(False)

    assert facts_of(held)["parts"]["frozen_held"]["count"] == 2
    assert facts_of(left, optimizer=torch.optim.SGD(left[2].parameters(), lr=0.1))["parts"]["frozen"]["count"] == 2


def with_dropout():
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, 3))


def judged(model):
    with torch.no_grad():
        model(torch.zeros(2, 4))


def test_a_net_that_is_judged_awake_and_one_that_never_wakes_again():
    def asleep(model):
        model.eval()
        judged(model)

    awake, sleeper = facts_of(with_dropout(), judge=judged), facts_of(with_dropout(), judge=asleep)

    assert awake["judging_awake"] == awake["judging_passes"] == 3
    assert (sleeper["asleep_passes"], sleeper["asleep_from"], sleeper["judging_awake"]) == (20, 11, 0)


def test_an_evaluation_that_records_gradients_is_one_too():
    told = facts_of(with_dropout(), judge=lambda model: model(torch.zeros(2, 4)))

    assert told["judging_passes"] == 3
    assert told["training_passes"] == 30


def test_layers_that_mind_the_mode():
    frozen = nn.BatchNorm1d(3).requires_grad_(False)

    assert moody(
        nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.0), nn.LSTM(3, 3, num_layers=2, dropout=0.1), frozen)
    ) == ["0", "2"]


def test_the_first_rate_tells_the_order_of_scheduler_and_optimizer():
    rates = {}
    for first in (True, False):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

        def update(model, optimizer, loss_fn, x, y, first=first, scheduler=scheduler):
            optimizer._opt_called = True  # torch's own warning is not what is tried here
            if first:
                scheduler.step()
            loss = plain(model, optimizer, loss_fn, x, y)
            if not first:
                scheduler.step()
            return loss

        told = facts_of(model, optimizer=optimizer, update=update, epochs=1)
        rates[first] = told["rate_given"], told["rate_first"]

    assert rates == {True: (0.1, 0.05), False: (0.1, 0.1)}
    assert "rate_first" not in facts_of(net())  # without a scheduler nothing is told


@pytest.mark.parametrize(
    "make", [nn.Linear, lambda a, b: nn.Conv2d(a, b, 3), nn.Embedding], ids=["linear", "conv", "embedding"]
)
def test_layers_as_torch_draws_them_look_so(make):
    torch.manual_seed(0)

    assert as_drawn(make(64, 64).weight)


def test_trained_weights_do_not_look_as_drawn():
    model, data = net(width=64), classes(2000)
    train(model, nn.CrossEntropyLoss(), data, optimizer=torch.optim.Adam(model.parameters(), lr=0.01), epochs=20)

    assert as_drawn(model[0].weight) is False
    assert as_drawn(torch.zeros(8)) is True
    assert as_drawn(torch.full((8,), 0.3)) is False
    assert as_drawn(torch.randn(5)) is None
