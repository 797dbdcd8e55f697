import pytest
import torch
from torch import nn

from tests.preflight.planted import findings, mlp, program
from tunesmith.blocks.layers.init.tracing import traced
from tunesmith.doctor.preflight.depth_advice import plain_chain


class Block(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


def stack(layers, *beside, activation=nn.ReLU):
    torch.manual_seed(0)
    inner = [each() for _ in range(layers - 2) for each in (lambda: nn.Linear(16, 16), *beside, activation)]
    return nn.Sequential(nn.Linear(64, 16), activation(), *inner, nn.Linear(16, 10))


def chain(net):
    return plain_chain(traced(net, torch.randn(4, 64)))


@pytest.mark.parametrize("layers", [10, 14, 30])
def test_layers_in_a_row(layers):
    (finding,) = findings("depth_advice", program(stack(layers)), above="")

    assert (finding.severity, finding.fault) == ("note", "act.unsuitable")
    assert finding.values["layers"] == layers == len(finding.subject["layers"])
    assert (finding.values["first"], finding.values["last"]) == ("0", str(2 * (layers - 1)))


@pytest.mark.parametrize("layers", [2, 5, 9])
def test_few_layers(layers):
    assert len(chain(stack(layers))) == layers
    assert not findings("depth_advice", program(stack(layers)), above="")


class Written(nn.Module):
    """A layer norm by hand."""

    def forward(self, x):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5)


@pytest.mark.parametrize(
    "norm", [lambda: nn.LayerNorm(16), lambda: nn.BatchNorm1d(16), lambda: nn.RMSNorm(16), Written]
)
def test_norms_end_a_chain(norm):
    assert len(chain(stack(20, norm))) <= 2
    assert not findings("depth_advice", program(stack(20, norm)), above="")


def test_selu_ends_a_chain():
    assert len(chain(stack(20, activation=nn.SELU))) <= 1


def test_ways_around_end_a_chain():
    blocks = [Block(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)) for _ in range(12)]

    assert len(chain(nn.Sequential(nn.Linear(64, 16), *blocks, nn.Linear(16, 10)))) <= 3


def test_a_layer_called_again_and_layers_that_are_not_trained_do_not_count():
    torch.manual_seed(0)
    shared, frozen = nn.Linear(16, 16), stack(20)
    frozen[:30].requires_grad_(False)

    assert len(chain(nn.Sequential(nn.Linear(64, 16), *([shared, nn.ReLU()] * 20), nn.Linear(16, 10)))) == 3
    assert len(chain(frozen)) == 5


def test_gates_written_out_are_one_activation():
    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    assert len(chain(stack(12, activation=Swish))) == 12


def test_a_plain_small_net():
    assert not findings("depth_advice", program(mlp()), above="")
