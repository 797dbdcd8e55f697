from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.planted import findings, mlp, program, regression
from tests.preflight.test_parameters_move import Adapted
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records.check import Inapplicable


def linear(*widths, between=()):
    torch.manual_seed(0)
    layers = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), *(make() for make in between)]
    return nn.Sequential(*layers[: len(layers) - len(between)])


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Parameter(torch.randn(64, 32) / 8), nn.Parameter(torch.randn(32, 10) / 6)

    def forward(self, x):
        return x @ self.one @ self.two


class Pictures(nn.Module):
    """Two convolutions and a layer, with something between."""

    def __init__(self, between, *, pool=nn.AvgPool2d, norm=False):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.between, self.pool, self.out = between, pool(2), nn.Linear(64, 10)

    def forward(self, x):
        h = self.between(self.norm(self.one(x.reshape(len(x), 1, 8, 8))))
        return self.out(self.pool(self.between(self.two(h))).flatten(1))


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (linear(64, 32, 10), ["0", "1"]),
        (linear(64, 32, 32, 32, 10), ["0", "1", "2", "3"]),
        (linear(64, 32, 10, between=(lambda: nn.Dropout(0.2),)), ["0", "2"]),
        (linear(64, 32, 10, between=(lambda: nn.BatchNorm1d(32),)), ["0", "2"]),
        (Pictures(nn.Identity()), ["one", "two", "out"]),
        (Pictures(nn.Identity(), norm=True), ["one", "two", "out"]),
        (ByHand(), ["one", "two"]),
    ],
)
def test_a_net_that_is_one_affine_map(model, layers):
    (finding,) = findings("linear_chain", program(model))

    assert (finding.fault, finding.severity, finding.message) == (
        "model.missing_nonlinearity",
        "warning",
        "model.affine",
    )
    assert finding.subject["layers"] == layers
    assert finding.evidence[0].value < 1e-9  # in double precision


@pytest.mark.parametrize("place", ["first", "middle", "last", "pooled"])
def test_two_layers_with_nothing_between(place):
    relu = nn.ReLU()
    nets = {
        "first": (nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 32), relu, nn.Linear(32, 10)), ["0", "1"]),
        "middle": (
            nn.Sequential(nn.Linear(64, 32), relu, nn.Linear(32, 32), nn.Linear(32, 32), relu, nn.Linear(32, 10)),
            ["2", "3"],
        ),
        "last": (
            nn.Sequential(nn.Linear(64, 32), relu, nn.Linear(32, 32), nn.Dropout(), nn.Linear(32, 10)),
            ["2", "4"],
        ),
        "pooled": (Pictures(nn.Identity(), pool=nn.MaxPool2d), ["one", "two"]),
    }
    model, layers = nets[place]

    (finding,) = findings("linear_chain", program(model))

    assert (finding.severity, finding.message) == ("warning", "model.linear_chain")
    assert finding.subject["layers"] == layers


def test_behind_a_bounded_output():
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 10), nn.LogSoftmax(1))

    (finding,) = findings("linear_chain", program(model, loss=nn.NLLLoss()))

    assert finding.message == "model.linear_chain"


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.up, self.down, self.out = (
            nn.Linear(64, 32),
            nn.Linear(32, 64),
            nn.Linear(64, 32),
            nn.Linear(32, 10),
        )

    def forward(self, x):
        h = self.into(x)
        return self.out(h + self.down(functional.gelu(self.up(h))))


class Separable(nn.Module):
    """Depthwise, pointwise, with a linear bottleneck, as mobile nets have it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.Conv2d(16, 8, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 48, 1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(48, 10),
        )

    def forward(self, x):
        return self.net(x)


class Factored(nn.Module):
    """A kernel of three by three as one axis after the other."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.out = nn.Conv2d(1, 8, (1, 3)), nn.Conv2d(8, 8, (3, 1)), nn.Linear(288, 10)

    def forward(self, x):
        return self.out(torch.relu(self.two(self.one(x.reshape(len(x), 1, 8, 8)))).flatten(1))


class Sequence(nn.Module):
    """A layer before a recurrent one and before attention."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.into, self.out = kind, nn.Linear(8, 16), nn.Linear(16, 10)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.attention = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.qkv = nn.Linear(16, 48)

    def forward(self, x):
        h = self.into(x.reshape(len(x), 8, 8))
        if self.kind == "recurrent":
            return self.out(self.rnn(h)[0][:, -1])
        if self.kind == "by hand":
            q, k, v = self.qkv(h).chunk(3, -1)
            h = h + torch.softmax(q @ k.transpose(1, 2) / 4, -1) @ v
            return self.out(functional.layer_norm(h.mean(1), (16,)))
        return self.out(self.attention(h).mean(1))


SOUND = {
    "plain": lambda: program(),
    "one layer": lambda: program(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))),
    "tanh": lambda: program(mlp(64, 10, nn.Tanh())),
    "layer norm between": lambda: program(nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.Linear(32, 10))),
    "pictures": lambda: program(Pictures(nn.ReLU(), norm=True)),
    "low rank": lambda: program(nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 10))),
    "adapter": lambda: program(nn.Sequential(Adapted(), nn.ReLU(), nn.Linear(10, 10))),
    "residual": lambda: program(Residual()),
    "separable": lambda: program(Separable()),
    "factored": lambda: program(Factored()),
    "before a recurrent layer": lambda: program(Sequence("recurrent")),
    "before attention": lambda: program(Sequence("attention")),
    "before attention by hand": lambda: program(Sequence("by hand")),
    "regression": lambda: regression(),
    "squares": lambda: program(nn.Sequential(nn.Linear(64, 32), Squares(), nn.Linear(32, 10))),
    "never below zero near the data": lambda: program(_far()),
}


class Squares(nn.Module):
    def forward(self, x):
        return x * x


def _far():
    """All units are awake on the data: affine there, and not further off."""
    model = mlp()
    nn.init.constant_(model[0].bias, 20.0)
    return model


@pytest.mark.parametrize("name", SOUND)
def test_nets_that_bend_or_are_meant(name):
    assert not findings("linear_chain", SOUND[name](), above="")


def test_where_two_parts_meet_it_is_a_note():
    """A projector and a predictor: the embedding between them is what is wanted."""
    projector = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32))
    predictor = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))

    (finding,) = findings("linear_chain", program(nn.Sequential(projector, predictor)), above="")

    assert (finding.severity, finding.subject["layers"]) == ("note", ["0.2", "1.0"])


def test_a_linear_autoencoder_is_a_note():
    X = torch.randn(200, 20, generator=torch.Generator().manual_seed(0)).numpy()
    brought = program(linear(20, 3, 20), loss=nn.MSELoss(), data=((X, X), None))

    (finding,) = findings("linear_chain", brought, above="")

    assert (finding.severity, finding.message) == ("note", "model.affine")


def test_words_have_chains_too():
    words = torch.randint(0, 30, (200, 6), generator=torch.Generator().manual_seed(0)).numpy()
    data = ((words, words[:, 0] % 3), None)

    def net(*middle):
        return nn.Sequential(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(48, 32), *middle, nn.Linear(32, 3))

    assert [one.subject["layers"] for one in findings("linear_chain", program(net(), data=data))] == [["2", "3"]]
    assert not findings("linear_chain", program(net(nn.ReLU()), data=data))


def test_a_net_that_raises_is_left_to_others():
    with pytest.raises(Inapplicable, match="raises"):
        list(CHECKS["linear_chain"].look(bench_of_program(program(mlp(60)))))
