"""Whether the gradient of an update is still the one of backward."""

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, net, train


def pulled(between=None, *, before=None, every=1):
    steps = []

    def update(model, optimizer, loss_fn, x, y):
        steps.append(1)
        if len(steps) % every == 1 or every == 1:
            optimizer.zero_grad()
        if before is not None:
            before(model, x)
            optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        if between is not None:
            between(model)
        optimizer.step()
        return loss.detach()

    return train(net(), nn.CrossEntropyLoss(), classes(), update=update).facts().get("pull", {})


def noised(size):
    def add(model):
        for one in model.parameters():
            one.grad += size * one.grad.norm() * torch.randn_like(one) / one.numel() ** 0.5

    return add


def test_a_plain_update_uses_the_gradient_of_backward():
    found = pulled()

    assert found["kept"] == 1.0
    assert found["turned"] == pytest.approx(1.0)
    assert found["signs"] >= 200


@pytest.mark.parametrize(
    "between",
    [
        lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.01),
        lambda model: nn.utils.clip_grad_value_(model.parameters(), 0.01),
    ],
    ids=["norm", "value"],
)
def test_clipping_keeps_the_signs(between):
    assert pulled(between)["kept"] == 1.0


def test_noise_larger_than_the_gradient_is_seen():
    found = pulled(noised(5.0))

    assert found["kept"] < 0.65
    assert found["turned"] < 0.4


def test_a_little_noise_leaves_most():
    assert pulled(noised(0.1))["turned"] > 0.9


def test_a_backward_pass_whose_gradient_is_cleared_does_not_count():
    assert pulled(before=lambda model, x: (-10 * model(x)[:, 0].mean()).backward())["turned"] == pytest.approx(1.0)
