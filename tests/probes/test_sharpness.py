"""What all measures keep, and what none of them can."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from tests.probes.cases import small_net, uneven_batches
from tunesmith.doctor.probes import (
    RESCALING,
    epsilon_sharpness,
    hessian_ends,
    hessian_trace,
    keskar_sharpness,
    noise_scale,
)

MEASURES = {
    "top": lambda *given: hessian_ends(*given, iterations=20).top,
    "trace": lambda *given: hessian_trace(*given, samples=50),
    "keskar": keskar_sharpness,
    "keskar of a subspace": lambda *given: keskar_sharpness(*given, directions=10),
    "ball": epsilon_sharpness,
}
ALL = MEASURES | {"noise": lambda model, loss, batches: noise_scale(model, loss, [batches[0], batches[2]], micro=4)}


class Drawing(nn.Module):
    """A layer that draws from every generator and counts its calls, in evaluation too."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x + 0.1 * torch.randn_like(x) + 0.1 * np.random.rand() + 0.1 * random.random()


def busy() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Tanh(), Drawing(), nn.Linear(6, 3))
    net[2].eval()  # a mode of its own
    for parameter in list(net.parameters())[:3]:
        parameter.grad = torch.randn_like(parameter)
    return net.double()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fails", [False, True])
def test_model_gradients_modes_and_generators_are_left_as_they_were(name, fails):
    net, batches = busy(), uneven_batches()
    state, gradients = copy.deepcopy(net.state_dict()), [copy.deepcopy(p.grad) for p in net.parameters()]
    drawn = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    calls = 0

    def loss(outputs, target):
        nonlocal calls
        calls += 1
        if fails and calls > 2:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, target)

    try:
        ALL[name](net, loss, batches)
    except KeyboardInterrupt:
        assert fails

    assert calls > 2
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    for parameter, before in zip(net.parameters(), gradients, strict=True):
        assert (parameter.grad is None and before is None) or torch.equal(parameter.grad, before)
    assert [module.training for module in net] == [True, True, False, True, True, True]
    assert torch.equal(torch.get_rng_state(), drawn[0])
    assert np.array_equal(np.random.get_state()[1], drawn[1])
    assert random.getstate() == drawn[2]


@pytest.mark.parametrize("name", MEASURES)
def test_a_model_that_draws_is_one_function(name):
    first, again = (MEASURES[name](busy(), nn.CrossEntropyLoss(), uneven_batches()) for _ in range(2))

    assert first == again
    assert first.value > 0


def test_a_graph_that_is_still_needed_is_not_broken():
    net, batches = small_net(), uneven_batches()
    waiting = nn.functional.cross_entropy(net(batches[0][0]), batches[0][1])

    hessian_ends(net, nn.CrossEntropyLoss(), batches, iterations=3)
    noise_scale(net, nn.CrossEntropyLoss(), [batches[0]])
    waiting.backward()

    assert net[0].weight.grad is not None


def rescaled(net: nn.Sequential, factor: float) -> nn.Sequential:
    """relu(a x) = a relu(x): the layer before times a, the one after divided by it."""
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin[0].weight.mul_(factor)
        twin[0].bias.mul_(factor)
        twin[2].weight.div_(factor)
    return twin


@pytest.mark.parametrize("name", MEASURES)
def test_the_caveat_holds_the_same_function_has_another_sharpness(name):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    twin, batches = rescaled(net, 16), uneven_batches()

    found, other = (MEASURES[name](model, nn.CrossEntropyLoss(), batches) for model in (net, twin))

    assert torch.allclose(net(batches[0][0]), twin(batches[0][0]), rtol=1e-12)
    assert other.value > 2 * found.value
    assert found.caveat == RESCALING
    assert "1703.04933" in RESCALING


def test_the_adaptive_ball_is_spared():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    twin, batches = rescaled(net, 16), uneven_batches()

    found, other = (
        epsilon_sharpness(model, nn.CrossEntropyLoss(), batches, radius=0.5, adaptive=True) for model in (net, twin)
    )

    assert other.value == pytest.approx(found.value, rel=1e-6)


def test_one_pair_of_tensors_is_one_batch():
    x, y = uneven_batches()[0]

    assert hessian_ends(small_net(), nn.CrossEntropyLoss(), (x, y)) == hessian_ends(
        small_net(), nn.CrossEntropyLoss(), [(x, y)]
    )
