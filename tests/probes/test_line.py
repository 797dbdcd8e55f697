import copy

import pytest
import torch
from torch import nn

from tests.probes.cases import ROWS, Quadratic, output, small_net, uneven_batches
from tunesmith.doctor.probes import loss_on_line
from tunesmith.records import ModelError, RecipeError


def test_a_quadratic_is_a_parabola():
    one, other = torch.tensor([1.0, 0, 2, -1]).double(), torch.tensor([0.0, 1, 1, 3]).double()
    models = [Quadratic(torch.eye(4).double(), w) for w in (one, other)]

    line = loss_on_line(*models, output, ROWS, alphas=(-1, 0, 0.25, 1, 2))

    expected = [0.5 * ((1 - a) * one + a * other).square().sum().item() for a in line.alphas]
    assert line.losses == pytest.approx(expected)
    assert line.value == 0  # convex: no barrier
    assert line.passes == 5


def test_a_barrier_is_what_rises_above_the_straight_line():
    models = [Quadratic(-torch.eye(2).double(), torch.tensor(w).double()) for w in ([1.0, 0.0], [-1.0, 0.0])]

    line = loss_on_line(*models, output, ROWS, alphas=(0, 0.5, 1))

    assert line.value == pytest.approx(0.5)  # -1/2 at the ends, 0 in the middle


def normed(scale: float) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)).double()
    with torch.no_grad():
        net[0].weight.mul_(scale)
        net[0].bias.mul_(scale)
    return net


def settled(net: nn.Sequential, x: torch.Tensor) -> nn.Sequential:
    """Running averages that belong to the weights."""
    net[1].running_mean, net[1].running_var = net[0](x).mean(0).detach(), net[0](x).var(0).detach()
    return net


def test_estimated_averages_belong_to_the_weights_in_between():
    x, y = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double(), torch.arange(50) % 3
    models = [settled(normed(scale), x) for scale in (1.0, 9.0)]
    middle = settled(normed(5.0), x).eval()
    expected = nn.functional.cross_entropy(middle(x), y).item()

    estimated = loss_on_line(*models, nn.CrossEntropyLoss(), [(x, y)], alphas=[0.5], statistics="estimate")
    mixed = loss_on_line(*models, nn.CrossEntropyLoss(), [(x, y)], alphas=[0.5], statistics="interpolate")

    assert estimated.losses[0] == pytest.approx(expected, rel=1e-12)
    assert mixed.losses[0] != pytest.approx(expected, rel=1e-3)  # the variance in between is 25, the mixed one 41
    assert (estimated.passes, mixed.passes) == (2, 1)


def test_estimated_averages_weigh_batches_by_their_rows():
    x, y = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).double(), torch.arange(30) % 3
    net = normed(1.0)
    mean = net[0](x).mean(0)
    by_hand = copy.deepcopy(net).eval()
    by_hand[1].running_mean = mean.detach()
    by_hand[1].running_var = (26 * net[0](x[:26]).var(0) + 4 * net[0](x[26:]).var(0)).detach() / 30

    line = loss_on_line(net, net, nn.CrossEntropyLoss(), [(x[:26], y[:26]), (x[26:], y[26:])], alphas=[0])

    assert line.losses[0] == pytest.approx(nn.functional.cross_entropy(by_hand(x), y).item(), rel=1e-12)


def test_both_models_stay_as_they_were():
    models = [normed(1.0), normed(2.0)]
    before = [copy.deepcopy(model.state_dict()) for model in models]
    random = torch.get_rng_state()

    loss_on_line(*models, nn.CrossEntropyLoss(), uneven_batches()[::2], alphas=(0, 0.5))

    for model, state in zip(models, before, strict=True):
        assert model.training
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_wrong_use_is_told():
    model, batches = small_net(), uneven_batches()

    with pytest.raises(ModelError, match=r"differ at '0.bias': \(6,\) and \(5,\)"):
        other = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
        loss_on_line(model, other, nn.CrossEntropyLoss(), batches, alphas=[0])
    with pytest.raises(RecipeError, match="'estimate' or 'interpolate'"):
        loss_on_line(model, model, nn.CrossEntropyLoss(), batches, alphas=[])
    with pytest.raises(RecipeError, match="put 0 and 1"):
        loss_on_line(model, model, nn.CrossEntropyLoss(), batches, alphas=[0.5]).value  # noqa: B018
