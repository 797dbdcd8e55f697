import pytest
import torch
from torch import nn

from tests.preflight.planted import findings, mlp, program, regression
from tests.preflight.test_parameters_move import Adapted


def net(*middle, outputs=10, width=16):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), *middle, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


def constant(model, value, *places):
    for place in places:
        for each in model[place].parameters():
            nn.init.constant_(each, value)
    return model


def same(model, *places):
    with torch.no_grad():
        for place in places:
            for each in model[place].parameters():
                each.copy_(each[:1].expand_as(each).clone())
    return model


@pytest.mark.parametrize("value", [0.01, 0.1, 0.0])
def test_a_constant_start_everywhere(value):
    (finding,) = findings("symmetry", program(constant(net(), value, 0, 2, 4), lr=0.01))

    assert (finding.fault, finding.severity) == ("init.symmetric", "error")
    assert {"0", "2"} <= set(finding.subject["layers"])
    assert finding.values["distinct"] == 1


def test_constant_hidden_layers_before_a_random_one():
    """The first layer's units see equal weights behind them; the second's part by the classes."""
    still, parting = findings("symmetry", program(constant(net(), 0.05, 0, 2), lr=0.01))

    assert (still.severity, still.subject["layers"]) == ("error", ["0"])
    assert (parting.severity, parting.subject["layers"]) == ("warning", ["2"])


@pytest.mark.parametrize("places", [(0, 2), (0, 2, 4)])
def test_equal_units_with_different_weights_behind_them(places):
    (finding,) = findings("symmetry", program(same(net(), *places), lr=0.001))

    assert (finding.severity, finding.subject["layers"]) == ("warning", ["0", "2"])


def test_units_that_only_what_is_behind_them_can_part():
    (finding,) = findings("symmetry", program(same(net(), 0), lr=0.001))

    assert (finding.severity, finding.message, finding.subject["layers"]) == ("warning", "model.alike_at_start", ["0"])


def test_half_of_the_units():
    model = net()
    with torch.no_grad():
        for each in (*model[0].parameters(), *model[2].parameters()):
            each[:12] = each[:1]
        model[2].weight[:, :12] = model[2].weight[:, :1]

    (first, *_) = findings("symmetry", program(model, lr=0.01))

    assert first.severity == "warning"


class Pictures(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)
        self.out = nn.Linear(8 * 16, 10)
        if value is not None:
            for each in (*self.one.parameters(), *self.two.parameters()):
                nn.init.constant_(each, value)

    def forward(self, x):
        h = torch.relu(self.one(x.reshape(len(x), 1, 8, 8)))
        return self.out(torch.relu(self.two(h)).flatten(1))


class Recurrent(nn.Module):
    def __init__(self, *, alike):
        super().__init__()
        self.rnn, self.out = nn.GRU(8, 12, batch_first=True), nn.Linear(12, 10)
        if alike:
            for each in (*self.rnn.parameters(), self.out.weight):
                nn.init.constant_(each, 0.1)

    def forward(self, x):
        return self.out(self.rnn(x.reshape(len(x), 8, 8))[0][:, -1])


class ByHand(nn.Module):
    def __init__(self, value):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Parameter(torch.full((64, 12), value)), nn.Parameter(torch.full((12, 10), value))

    def forward(self, x):
        return torch.relu(x @ self.one) @ self.two


@pytest.mark.parametrize(
    "make", [lambda: Pictures(0.02), lambda: Pictures(0.0), lambda: Recurrent(alike=True), lambda: ByHand(0.02)]
)
def test_other_kinds_of_layers(make):
    found = findings("symmetry", program(make(), lr=0.01))

    assert [one.fault for one in found][:1] == ["init.symmetric"]


class Residual(nn.Module):
    """A block whose last layer starts at zero, and its second layer's gain too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.up, self.down = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.gain, self.out = nn.Parameter(torch.zeros(())), nn.Linear(32, 10)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.out.weight)

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.out(h + (1 + self.gain) * self.down(torch.relu(self.up(h))))


SOUND = {
    "plain": lambda: program(),
    "last layer of zeros": lambda: program(constant(net(), 0.0, 4)),
    "one layer of zeros": lambda: program(constant(nn.Sequential(nn.Linear(64, 10)), 0.0, 0)),
    "residual": lambda: program(Residual()),
    "adapter": lambda: program(Adapted()),
    "norms and biases": lambda: program(net(nn.LayerNorm(16), nn.BatchNorm1d(16))),
    "pictures": lambda: program(Pictures(None)),
    "recurrent": lambda: program(Recurrent(alike=False)),
    "regression": lambda: regression(),
    "two numbers from zero": lambda: regression(model=constant(mlp(10, 1), 0.0, 2)),
    "frozen means": lambda: program(_frozen_means()),
    "by hand, one layer": lambda: program(_logistic()),
}


def _frozen_means():
    model = same(net(), 0)
    model[0].requires_grad_(False)
    return model


def _logistic():
    class Logistic(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights, self.bias = nn.Parameter(torch.zeros(64, 10)), nn.Parameter(torch.zeros(10))

        def forward(self, x):
            return x @ self.weights + self.bias

    return Logistic()


@pytest.mark.parametrize("name", SOUND)
def test_starts_that_are_meant(name):
    assert not findings("symmetry", SOUND[name](), above="")
