import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.preflight.planted import diabetes, digits, findings, mlp, program, regression, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records.check import Inapplicable


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def first(function):
    """A net that changes its inputs before anything else."""
    return nn.Sequential(Function(function), *mlp())


def with_rows(places, value):
    """Digits, some rows of which are one number throughout."""
    (X, y), val = digits()
    X = X.copy()
    X[places] = value
    return (X, y), val


RARE = [7, 431, 555]
BREAKS = {
    "spread of an even row": lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
    "length of nothing": lambda x: x / x.norm(dim=1, keepdim=True),
    "logarithm of a sum": lambda x: x + (x.abs().sum(1, keepdim=True).log() ** 2),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("loader", [False, True])
def test_rare_rows_that_break_are_found_and_named(name, loader):
    data = with_rows(RARE, 0.0)
    if loader:
        train = DataLoader(TensorDataset(*map(torch.as_tensor, data[0])), batch_size=32, shuffle=True)
        data = train, data[1]

    (finding,) = findings("unsafe_operations", program(first(BREAKS[name]), data=data))

    assert (finding.fault, finding.severity) == ("numerics.unsafe_op", "error")
    assert finding.subject["layers"] == ["0"]
    assert sorted(finding.subject["rows"]) == RARE
    assert finding.message == "network.unsafe_module"


@pytest.mark.parametrize("scale", [1e3, 1e5])
def test_half_precision_that_overflows_on_the_largest_rows(scale):
    data = with_rows(RARE[:1], 90.0)
    middle = Function(lambda h: (h.half() * scale).to(h.dtype) / scale if h.dtype == torch.float32 else h)

    (finding,) = findings("unsafe_operations", program(mlp(64, 10, middle), data=data))

    assert finding.message == "network.unsafe_precision"
    assert finding.subject["layers"] == ["1"]
    assert RARE[0] in finding.subject["rows"]


def test_an_infinity_that_a_tanh_swallows_is_a_warning():
    model = nn.Sequential(Function(lambda x: (80 * x).exp()), nn.Tanh(), nn.Linear(64, 10))

    (finding,) = findings("unsafe_operations", program(model))

    assert (finding.severity, finding.subject["layers"]) == ("warning", ["0"])


@pytest.mark.parametrize(
    "function",
    [
        lambda h: torch.sqrt(h * (h > 0)),
        lambda h: h + (h - h.detach()).pow(2).sum(1, keepdim=True).sqrt(),
        lambda h: torch.where(h > 0, h, h / (h - h)),
    ],
)
def test_gradients_that_are_not_finite(function):
    (finding,) = findings("unsafe_operations", program(mlp(64, 10, Function(function))))

    assert finding.severity == "error"
    assert finding.message == "network.unsafe_gradient"


def test_blank_rows_that_the_data_do_not_hold_are_a_note():
    model = nn.Sequential(Function(lambda x: x / x.norm(dim=1, keepdim=True)), *mlp(10, 1))

    (finding,) = findings("unsafe_operations", regression(model=model), above="")

    assert (finding.severity, finding.message) == ("note", "network.unsafe_on_blank")


SOUND = {
    "plain": lambda: mlp(),
    "epsilon": lambda: first(lambda x: (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-6)),
    "a mask of minus infinity": lambda: first(Masked()),
    "norms": lambda: mlp(64, 10, nn.BatchNorm1d(32), nn.LayerNorm(32), nn.Dropout(0.9)),
    "bfloat": lambda: mlp(64, 10, Function(lambda h: (h.bfloat16() * 1e6).float() / 1e6)),
}


class Masked(nn.Module):
    """A softmax over what a mask leaves."""

    def __init__(self):
        super().__init__()
        self.mask = Function(lambda x: x.masked_fill(x < -0.5, float("-inf")))

    def forward(self, x):
        return torch.softmax(self.mask(torch.cat([x, torch.zeros(len(x), 1)], 1)), 1)[:, :64]


@pytest.mark.parametrize("name", SOUND)
def test_sound_nets(name):
    assert not findings("unsafe_operations", program(SOUND[name](), data=with_rows(RARE, 0.0)), above="")


def test_rows_that_are_not_finite_are_left_to_others():
    X, y = diabetes()[0]
    X = np.where(X > 2.5, np.nan, X).astype(np.float32)

    assert not findings("unsafe_operations", regression(data=((X, y), None)), above="")


def test_a_step_of_their_own_decides_what_the_net_is_given():
    def step(model, loss_fn, optimizer, xb, yb):
        return usual_step(model, loss_fn, optimizer, xb.clamp(-2, 2) + 5, yb)

    assert not findings("unsafe_operations", program(first(lambda x: x.log()), step=step))


def test_a_net_that_raises_is_left_to_others():
    with pytest.raises(Inapplicable, match="raises"):
        list(CHECKS["unsafe_operations"].look(bench_of_program(program(mlp(63)))))
