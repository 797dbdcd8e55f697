"""Values and gradients that do not come through at the start."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from torch import nn

from tunesmith import Program
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.doctor.preflight.first_signals import signals_of


def digits():
    data = load_digits()
    return (data.data / 16).astype(np.float32)[:600], data.target[:600]


def program(*layers, X=None, y=None, lr=0.05, width=10):
    rows, labels = digits()
    net = nn.Sequential(*layers)
    sgd = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    pair = (rows if X is None else X, labels if y is None else y)
    return Program(net, nn.CrossEntropyLoss(), sgd, pair, batch_size=32, epochs=20, num_classes=width)


def stack(activation, depth, width=32, **norm):
    torch.manual_seed(0)
    layers = [nn.Linear(64, width), activation()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), activation()]
    return [*layers, nn.Linear(width, 10)]


def found(made):
    bench = bench_of_program(made)
    return {one.fault: one for one in CHECKS["first_signals"].look(bench)}


@pytest.mark.parametrize("factor", [0.05, 0.01])
def test_weights_too_small_are_named_and_new_weights_shown_to_help(factor):
    layers = stack(nn.ReLU, 5)
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.mul_(factor)
            layer.bias.zero_()

    told = found(program(*layers))

    assert told["init.bad_scale"].severity == "warning"
    before, after = told["init.bad_scale"].evidence[1].value, told["init.bad_scale"].evidence[1].threshold
    assert after < 0.7 * before
    assert told["grad.vanishing"].caused_by == "init.bad_scale"


def test_units_that_are_asleep_are_counted():
    layers = stack(nn.ReLU, 3)
    with torch.no_grad():
        layers[0].bias.fill_(-20.0)
    made = program(*layers)

    told = found(made)

    assert told["act.dead_relu"].subject == {"layers": ["2"]}
    assert told["act.dead_relu"].evidence[0].value == 1.0
    assert "init.bad_scale" in told


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh])
def test_a_deep_stack_of_sigmoids_wants_another_activation(activation):
    depth, factor = (8, 1.0) if activation is nn.Sigmoid else (4, 40.0)
    layers = stack(activation, depth)
    with torch.no_grad():
        for layer in layers[:-1:2]:
            layer.weight.mul_(factor)

    told = found(program(*layers))

    assert {"act.unsuitable"} <= told.keys() if activation is nn.Sigmoid else {"act.saturated"} <= told.keys()


def test_inputs_out_of_scale_are_the_root():
    data = load_iris()
    X = (data.data * 1000 + 5000).astype(np.float32)
    torch.manual_seed(0)
    layers = [nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)]

    told = found(program(*layers, X=X, y=data.target, lr=0.01, width=3))

    assert told["data.unscaled_inputs"].status == "confirmed"
    assert "init.bad_scale" not in told


def residual():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32))
            nn.init.zeros_(self.inner[-1].weight)

        def forward(self, x):
            return x + self.inner(x)

    torch.manual_seed(0)
    return [nn.Linear(64, 32), *(Block() for _ in range(12)), nn.Linear(32, 10)]


def zero_head():
    layers = stack(nn.ReLU, 3)
    nn.init.zeros_(layers[-1].weight)
    return layers


def normed():
    torch.manual_seed(0)
    layers = [nn.Linear(64, 32)]
    for _ in range(6):
        layers += [nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32)]
    with torch.no_grad():
        layers[0].weight.mul_(0.001)
    return [*layers, nn.ReLU(), nn.Linear(32, 10)]


@pytest.mark.parametrize(
    "layers",
    [lambda: stack(nn.ReLU, 3), lambda: stack(nn.GELU, 4), lambda: stack(nn.Tanh, 3), residual, zero_head, normed],
    ids=["relu", "gelu", "tanh", "zero residual branches", "zero head", "norms rescue small weights"],
)
def test_sound_nets_are_left_alone(layers):
    assert found(program(*layers())) == {}


def test_the_numbers_of_a_layer_are_those_of_its_formula():
    torch.manual_seed(0)
    layers = [nn.Linear(64, 400), nn.ReLU(), nn.Linear(400, 10)]
    with torch.no_grad():
        layers[0].weight.normal_(0, 0.1)
        layers[0].bias.zero_()

    signals = signals_of(bench_of_program(program(*layers)))

    rows = digits()[0]
    expected = 0.1 * np.sqrt((rows**2).sum(1).mean())  # independent weights: variance 0.01 |x|^2
    assert [one.name for one in signals.layers] == ["0", "2"]
    assert signals.layers[0].deviation == pytest.approx(expected, rel=0.1)
    assert signals.layers[1].asleep < 0.1
    assert signals.odd == {}
