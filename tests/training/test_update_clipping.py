import copy

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tunesmith.records import RecipeError
from tunesmith.reports import QuietDisplay
from tunesmith.training.update_clipping import UpdateClipping

RATE = 1e-2


def stepped(net: nn.Module, optimizer: torch.optim.Optimizer, scale: float) -> None:
    """One step on gradients of this size."""
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.grad = scale * torch.randn(weight.shape, generator=generator)
    optimizer.step()


def test_what_a_step_changes_is_cut_as_in_adafactor() -> None:
    net = nn.Linear(4, 3)
    free = copy.deepcopy(net)
    optimizers = [torch.optim.Adam(one.parameters(), RATE, betas=(0.0, 0.999)) for one in (net, free)]
    for _ in range(200):
        for one, optimizer in zip((net, free), optimizers, strict=True):
            stepped(one, optimizer, 1.0)
    net.load_state_dict(free.state_dict())
    before = [weight.detach().clone() for weight in net.parameters()]
    limited = UpdateClipping(optimizers[0], 1.0)

    limited.before()
    stepped(net, optimizers[0], 100.0)
    limited.after()
    stepped(free, optimizers[1], 100.0)

    for start, cut, whole in zip(before, net.parameters(), free.parameters(), strict=True):
        update = (whole - start).detach().double().numpy() / RATE
        size = np.sqrt((update**2).mean())
        assert size > 2  # the second moment lags behind
        expected = start.numpy() + RATE * update / max(1.0, size)
        assert cut.detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_a_step_within_the_limit_is_left_bit_for_bit() -> None:
    net = nn.Linear(4, 3)
    free = copy.deepcopy(net)
    optimizers = [torch.optim.AdamW(one.parameters(), RATE) for one in (net, free)]
    limited = UpdateClipping(optimizers[0], 1.5)

    for _ in range(5):
        limited.before()
        stepped(net, optimizers[0], 1.0)
        limited.after()
        stepped(free, optimizers[1], 1.0)

    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), free.parameters(), strict=True))


def test_weights_without_a_gradient_and_a_rate_of_0_are_left_alone() -> None:
    net = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    start = net.weight.detach().clone()
    limited = UpdateClipping(optimizer, 1.0)

    net.bias.grad = torch.ones(3)
    limited.before()
    optimizer.step()
    limited.after()

    assert torch.equal(net.weight, start)


def test_optimizers_that_keep_other_weights_are_refused() -> None:
    X, y = torch.randn(40, 3), torch.randint(0, 2, (40,))
    task = ts.Task(nn.Linear(3, 2), (X, y), val=(X, y), test=(X, y), kind="binary", loss=nn.CrossEntropyLoss())

    with pytest.raises(RecipeError, match=r"optim\.clip_update cuts the one change of a step, but \w+ keeps other"):
        ts.fit(task, {"optim.name": "lbfgs", "optim.clip_update": 1.0}, display=QuietDisplay())
