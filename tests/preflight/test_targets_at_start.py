import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import nn

from tests.preflight.outputs_planted import NUMBERS, found, loud, net, program


def adam(parameters):
    return torch.optim.Adam(parameters, 1e-3)


@pytest.mark.parametrize(("mean", "spread"), [(300.0, 50.0), (0.0, 1000.0), (40.0, 1.0)])
def test_targets_far_from_where_outputs_begin(mean, spread):
    (finding,) = loud("targets_at_start", program(net(1), nn.MSELoss(), spread * NUMBERS + mean, optimizer=adam))

    assert (finding.fault, finding.status) == ("data.unscaled_targets", "confirmed")
    assert finding.values["standard"] > finding.values["own"] + 0.1


def test_the_targets_of_the_diabetes_rows():
    x, y = load_diabetes(return_X_y=True)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    x, y = torch.tensor(x).float() / 0.0476, torch.tensor(y).float()[:, None]

    assert loud("targets_at_start", program(model, nn.MSELoss(), y, x, adam))
    assert not loud("targets_at_start", program(model, nn.MSELoss(), (y - y.mean()) / y.std(), x, adam))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = net(1)

    def forward(self, x):
        return 300 + 50 * self.body(x)


def test_a_net_that_scales_its_outputs_itself_is_right():
    assert not found("targets_at_start", program(Scaled(), nn.MSELoss(), 50 * NUMBERS + 300, optimizer=adam))
    assert not found("targets_at_start", program(net(1), nn.MSELoss(), NUMBERS, optimizer=adam))
    assert not found("targets_at_start", program(net(5), nn.CrossEntropyLoss()))
