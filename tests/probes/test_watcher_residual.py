"""Targets of a loss written out by hand."""

import pytest
import torch
from torch.nn import functional

from tunesmith.doctor.probes.watcher_residual import residual_in

TARGET = torch.arange(6.0)


def outputs(width=2):
    return torch.nn.Linear(3, width)(torch.randn(6, 3))


@pytest.mark.parametrize(
    ("loss", "column"),
    [
        (lambda out: ((out[:, 0] - TARGET) ** 2).mean(), 0),
        (lambda out: (TARGET - out[:, 1]).abs().sum(), 1),
        (lambda out: functional.gaussian_nll_loss(out[:, :1], TARGET[:, None], out[:, 1:].exp()), 0),
    ],
    ids=["squares", "absolute", "gaussian"],
)
def test_targets_follow_from_the_difference(loss, column):
    out = outputs()

    found = residual_in(loss(out), out)

    assert found is not None
    torch.testing.assert_close(found[0].flatten(), out[:, column].detach())
    torch.testing.assert_close(found[1].flatten(), TARGET, atol=1e-5, rtol=1e-5)


def test_a_loss_of_two_outputs_has_no_target():
    out = outputs()

    assert residual_in(((out[:, 0] - out[:, 1]) ** 2).mean(), out) is None
    assert residual_in(functional.cross_entropy(out, TARGET.long() % 2), out) is None
