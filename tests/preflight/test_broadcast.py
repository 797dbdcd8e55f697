import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import ANSWERS, CLASSES, NUMBERS, found, loud, net, program

FLAT = nn.Flatten(0)


@pytest.mark.parametrize(
    ("model", "loss", "target"),
    [
        (net(1), nn.MSELoss(), NUMBERS[:, 0]),
        (net(1), nn.L1Loss(reduction="sum"), NUMBERS[:, 0]),
        (net(1), lambda o, y: (o - y).abs().mean(), NUMBERS[:, 0]),
        (net(1), lambda o, y: (functional.softplus(o) - o * y).mean(), ANSWERS[:, 0]),
        (net(1, FLAT), nn.HuberLoss(), NUMBERS),
    ],
)
def test_a_lost_pairing(model, loss, target):
    (finding,) = loud("broadcast", program(model, loss, target))

    assert (finding.fault, finding.severity) == ("loss.shape_broadcast", "error")
    assert finding.evidence[0].value < 1e-4 < finding.evidence[1].value


@pytest.mark.parametrize(
    ("model", "loss", "target"),
    [
        (net(1), nn.MSELoss(), NUMBERS),
        (net(1, FLAT), nn.MSELoss(), NUMBERS[:, 0]),
        (net(1), lambda o, y: functional.mse_loss(o.view(-1), y), NUMBERS[:, 0]),
        (
            net(3),
            lambda o, y: torch.maximum(0.5 * (y - o), -0.5 * (y - o)).mean(),
            NUMBERS,
        ),  # three quantiles, on purpose
        (
            net(1),
            lambda o, y: torch.cdist(o, y).mean() - torch.cdist(o, o).mean() / 2,
            NUMBERS,
        ),  # energy distance of batches
        (net(5), nn.CrossEntropyLoss(), CLASSES),
    ],
)
def test_shapes_that_fit_or_are_meant(model, loss, target):
    assert not found("broadcast", program(model, loss, target))
