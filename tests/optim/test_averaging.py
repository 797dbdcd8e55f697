"""Averages that are evaluated in place of the trained weights, and the statistics of their norms."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from tunesmith.blocks.optim import build, evaluated
from tunesmith.blocks.optim.averaging import (
    Average,
    EqualAverage,
    OwnAverage,
    WeightAverage,
    estimated_norms,
    reestimate_norms,
)
from tunesmith.records import ModelError, Recipe, RecipeError, revise


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


def batches(sizes=(10, 10, 10)):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(size, 4, generator=generator) * 2 + 1 for size in sizes]


def trained(model, optimizer, count=1):
    for batch in batches((10,) * count):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()


def averages(model):
    free = build(revise(Recipe(), {"optim.name": "schedulefree_adamw"}), model, 0.1)
    return [WeightAverage(model, 0.5), EqualAverage(model, 0), OwnAverage(model, free)]


@pytest.mark.parametrize("place", range(3))
def test_the_model_holds_the_average_inside_and_its_own_weights_bit_for_bit_after(place):
    model = net()
    average = averages(model)[place]
    optimizer = average.optimizer if isinstance(average, OwnAverage) else torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        trained(model, optimizer)
        average.update(model)
    before = copy.deepcopy(model.state_dict())

    with average.in_place_of(model):
        inside = copy.deepcopy(model.state_dict())
    with pytest.raises(ZeroDivisionError), average.in_place_of(model):
        raise ZeroDivisionError

    assert isinstance(average, Average)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(inside["0.weight"], before["0.weight"])
    assert all(torch.equal(value, inside[name]) for name, value in average.state_dict()["weights"].items())


@pytest.mark.parametrize("place", range(3))
def test_an_average_goes_on_from_its_state_with_the_norms_it_was_given(place):
    model = net()
    average = averages(model)[place]
    optimizer = average.optimizer if isinstance(average, OwnAverage) else torch.optim.SGD(model.parameters(), lr=0.1)
    trained(model, optimizer)
    average.update(model)
    with average.in_place_of(model):
        reestimate_norms(model, batches())
        average.take_buffers(model)
    state = copy.deepcopy(average.state_dict())
    twin = copy.deepcopy(model)
    again = averages(twin)[place]
    if isinstance(again, OwnAverage):
        again.optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    again.load_state_dict(state)

    held = again.state_dict()
    assert all(torch.equal(value, state["weights"][name]) for name, value in held["weights"].items())
    assert held["weights"]["1.running_mean"].abs().max() > 0.3


@pytest.mark.parametrize(("start", "every"), [(0, 1), (2, 1), (3, 2)])
def test_an_equal_average_is_torchs_averaged_model(start, every):
    model = net()
    average, theirs = EqualAverage(model, start, every), AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    for step in range(1, 8):
        trained(model, optimizer)
        average.update(model)
        if step >= start and step % every == 0:
            theirs.update_parameters(model)

    assert average.taken == int(theirs.n_averaged)
    for name, value in theirs.module.named_parameters():
        assert torch.allclose(average.weights[name], value, rtol=1e-5, atol=1e-7)


def test_before_its_start_an_equal_average_is_the_trained_weights():
    model = net()
    average = EqualAverage(model, start=10)
    with torch.no_grad():
        model[0].weight.fill_(7.0)
    average.update(model)

    with average.in_place_of(model):
        assert (model[0].weight == 7).all()
        reestimate_norms(model, batches())
    assert (model[1].running_mean == 0).all()
    assert (average.state_dict()["weights"]["0.weight"] == 7).all()
    with pytest.raises(RecipeError, match="start -1"):
        EqualAverage(model, -1)


def test_the_optimizers_own_average_belongs_to_its_model_and_switches_it_on():
    model = net()
    optimizer = build(revise(Recipe(), {"optim.name": "schedulefree_sgd"}), model, 0.1)
    optimizer.eval()

    average = OwnAverage(model, optimizer)

    assert optimizer.param_groups[0]["train_mode"]
    with pytest.raises(ModelError, match="belongs to the model"), average.in_place_of(copy.deepcopy(model)):
        pass


def test_evaluated_gives_the_trained_weights_back_where_the_way_back_would_round():
    torch.manual_seed(0)
    model = nn.Linear(50, 50)
    optimizer = build(revise(Recipe(), {"optim.name": "schedulefree_sgd"}), model, 0.3)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(8, 50)).square().mean().backward()
        optimizer.step()
    before = model.weight.detach().clone()

    with evaluated(optimizer):
        assert not torch.equal(model.weight, before)

    assert torch.equal(model.weight, before)
    optimizer.eval()
    optimizer.train()
    assert not torch.equal(model.weight, before)  # so that this test can fail


def test_norms_are_estimated_as_torch_does_it_without_dropout():
    model, theirs = net(), net()
    theirs[3].p = 0.0
    for module in (model[1], theirs[1]):
        module.running_mean.fill_(9.0)

    count = reestimate_norms(model, batches())
    update_bn(batches(), theirs)

    assert count == 1
    assert torch.allclose(model[1].running_mean, theirs[1].running_mean, rtol=1e-6)
    assert torch.allclose(model[1].running_var, theirs[1].running_var, rtol=1e-6)
    assert model[1].num_batches_tracked == 3


def test_batches_weigh_by_their_rows():
    model = net()
    parts = batches((30, 2))

    reestimate_norms(model, parts)

    assert torch.allclose(model[1].running_mean, model[0](torch.cat(parts)).mean(dim=0), rtol=1e-5)


def test_modes_momenta_and_random_numbers_are_left_as_they_were():
    model = net()
    model[1].momentum = 0.3
    model[3].eval()
    modes = [module.training for module in model.modules()]
    before = torch.get_rng_state()

    reestimate_norms(model, batches())

    assert [module.training for module in model.modules()] == modes
    assert model[1].momentum == 0.3
    assert torch.equal(torch.get_rng_state(), before)


def test_norms_that_are_frozen_or_track_nothing_stay_as_they_are():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4, track_running_stats=False), nn.BatchNorm1d(4))
    model[2].eval()
    model[2].running_mean.fill_(5.0)

    assert estimated_norms(model) == [model[0]]
    assert reestimate_norms(model, batches()) == 1
    assert (model[2].running_mean == 5).all()
    assert reestimate_norms(nn.Linear(4, 4), batches()) == 0


def test_without_a_batch_the_statistics_stay_and_it_is_said():
    model = net()
    model[1].running_mean.fill_(5.0)

    with pytest.raises(RecipeError, match="got no batch"):
        reestimate_norms(model, [])

    assert (model[1].running_mean == 5).all()
    assert model[1].training


def test_inputs_in_a_mapping_are_counted_by_their_first_tensor():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, inputs):
            return self.norm(inputs["x"])

    model = Named()

    reestimate_norms(model, [{"x": batch} for batch in batches((30, 2))])

    assert torch.allclose(model.norm.running_mean, torch.cat(batches((30, 2))).mean(dim=0), rtol=1e-5)


def test_lookahead_follows_the_formula_and_evaluates_the_slow_weights():
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = build(
        revise(Recipe(), {"optim.name": "lookahead", "optim.momentum": 0.0, "optim.extra": {"k": 2, "alpha": 0.25}}),
        nn.ParameterList([weight]),
        0.1,
    )
    slow = fast = 1.0
    for step in range(1, 8):
        weight.grad = 2 * weight.detach()
        optimizer.step()
        fast -= 0.1 * 2 * fast
        if step % 2 == 0:
            slow += 0.25 * (fast - slow)
            fast = slow
        assert weight.item() == pytest.approx(fast, rel=1e-12)

    optimizer.eval()
    assert weight.item() == pytest.approx(slow, rel=1e-12)
    with pytest.raises(RecipeError, match=r"call train\(\)"):
        optimizer.step()
    again = pickle.loads(pickle.dumps(optimizer))
    again.train()
    optimizer.train()
    assert weight.item() == pytest.approx(fast, rel=1e-12) == again.param_groups[0]["params"][0].item()
