import math

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import CLASSES, X, found, loud, net, program
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.preflight.start_loss import start_of


def enlarged(model, factor):
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(factor)
    return model


@pytest.mark.parametrize("factor", [6.0, 30.0])
def test_weights_that_are_too_large(factor):
    (finding,) = loud("start_loss", program(enlarged(net(5), factor), nn.CrossEntropyLoss()))

    assert (finding.fault, finding.severity) == ("init.bad_scale", "warning")


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 100.0), (500.0, 20.0)])
def test_inputs_that_are_not_scaled(mean, spread):
    (finding,) = loud("start_loss", program(net(5), nn.CrossEntropyLoss(), inputs=X * spread + mean))

    assert finding.fault == "data.unscaled_inputs"
    assert finding.values["standard"] < 2.5 < finding.values["loss"]


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(), lambda o, y: functional.cross_entropy(30 * functional.normalize(o), y)]
)
def test_a_sound_start(loss):
    assert not found("start_loss", program(net(5), loss))


@pytest.mark.parametrize("data", [load_digits, load_wine, load_breast_cancer])
def test_real_rows_standardised(data):
    x, y = data(return_X_y=True)
    x = torch.tensor((x - x.mean(0)) / (x.std(0) + 1e-9)).float()
    model = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, int(y.max()) + 1))

    assert not found("start_loss", program(model, nn.CrossEntropyLoss(), torch.tensor(y).long(), x))


def test_constants_are_those_of_theory():
    uneven = (torch.arange(256) % 8 == 0).float()[:, None]
    start = start_of(bench_of_program(program(net(1), nn.BCEWithLogitsLoss(), uneven, shuffle=False)))
    share = 8 / 64

    assert start.zero == pytest.approx(0.6931, abs=1e-3)
    entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    assert start.constant == pytest.approx(entropy, abs=0.15)  # of the rows that were drawn


def test_a_trained_net_begins_lower_and_is_right():
    model = net(5)
    adam = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(100):
        adam.zero_grad()
        functional.cross_entropy(model(X), CLASSES).backward()
        adam.step()

    assert not found("start_loss", program(model, nn.CrossEntropyLoss()))
