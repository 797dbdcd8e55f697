"""Snapshots are bit for bit."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks.optim.averaging import WeightAverage
from tunesmith.records import CheckpointError
from tunesmith.records.state import State, random_state, set_random_state


def trained(optimizer_kind: type[torch.optim.Optimizer] = torch.optim.AdamW, updates: int = 3) -> State:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    state = State(model=model, optimizer=optimizer_kind(model.parameters(), lr=0.01), average=WeightAverage(model, 0.9))
    go_on(state, updates)
    return state


def go_on(state: State, updates: int) -> None:
    for _ in range(updates):
        state.optimizer.zero_grad()
        state.model(torch.randn(16, 4)).square().mean().backward()
        state.optimizer.step()
        assert isinstance(state.average, WeightAverage)
        state.average.update(state.model)
        state.step += 1


def weights(state: State) -> list[torch.Tensor]:
    assert isinstance(state.average, WeightAverage)
    return [
        *(value.clone() for value in state.model.state_dict().values()),
        *(value.clone() for value in state.average.weights.values()),
    ]


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad, torch.optim.NAdam])
def test_a_restored_state_goes_on_as_the_first_time(kind: type[torch.optim.Optimizer]) -> None:
    state = trained(kind)
    snapshot = state.snapshot()
    go_on(state, 4)
    first = weights(state)

    state.restore(snapshot)
    go_on(state, 4)

    assert all(torch.equal(one, other) for one, other in zip(first, weights(state), strict=True))
    assert state.step == 7


def test_a_snapshot_is_out_of_reach_of_what_happens_later() -> None:
    state = trained()
    snapshot = state.snapshot()
    before = {name: value.clone() for name, value in snapshot["model"].items()}

    go_on(state, 2)

    assert all(torch.equal(value, before[name]) for name, value in snapshot["model"].items())
    assert snapshot["step"] == 3


def test_a_parameter_group_added_on_the_way_is_added_again() -> None:
    state = trained()
    late = nn.Parameter(torch.ones(3))
    state.model.register_parameter("late", late)
    state.average = None
    state.optimizer.add_param_group({"params": [late], "lr": 0.5})
    snapshot = state.snapshot()
    again = trained()
    again.model.register_parameter("late", nn.Parameter(torch.zeros(3)))
    again.average = None

    again.restore(snapshot)

    assert len(again.optimizer.param_groups) == 2
    assert again.optimizer.param_groups[1]["lr"] == 0.5
    assert torch.equal(again.model.get_parameter("late"), torch.ones(3))


def test_another_model_is_told() -> None:
    snapshot = trained().snapshot()
    other = State(model=nn.Linear(2, 2), optimizer=torch.optim.SGD(nn.Linear(2, 2).parameters()))

    with pytest.raises(CheckpointError, match="holds another model than this one"):
        other.restore(snapshot)


def test_a_missing_average_is_told() -> None:
    state = trained()
    snapshot = state.snapshot()
    state.average = None

    with pytest.raises(CheckpointError, match="the checkpoint has an average of the weights, this training has none"):
        state.restore(snapshot)


def test_every_global_generator_is_put_back() -> None:
    before = random_state()
    first = (random.random(), np.random.rand(), torch.rand(1).item())

    set_random_state(before)

    assert (random.random(), np.random.rand(), torch.rand(1).item()) == first


def test_a_restored_state_keeps_the_number_types_it_was_saved_with():
    torch.manual_seed(0)
    model = nn.Linear(3, 2).double()
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
    state = State(model=model, optimizer=optimizer)

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad()
            model(torch.ones(4, 3, dtype=torch.float64)).square().sum().backward()
            optimizer.step()

    steps(3)
    snapshot = state.snapshot()
    steps(3)
    expected = model.weight.detach().clone()
    state.restore(snapshot)
    steps(3)

    assert torch.equal(model.weight, expected)
