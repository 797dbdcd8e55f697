import copy

import pytest
import torch
from torch import nn

from tests.training.batched.alone import distance, optimizer_of
from tunesmith.blocks.optim import without_compiler
from tunesmith.records import UnknownName
from tunesmith.training.batched import BatchedTrial
from tunesmith.training.batched.sequential import MADE, Alone

TRIAL = BatchedTrial(
    id=0, lr=0.01, weight_decay=0.1, momentum=0.8, beta1=0.7, beta2=0.9, alpha=0.8, eps=1e-3, clip_norm=0.5,
    schedule=lambda step: 0.9**step,
)  # fmt: skip


@pytest.mark.parametrize("optimizer", MADE)
def test_a_trial_alone_is_stepped_as_torch_does(optimizer):
    torch.manual_seed(0)
    X, y = torch.randn(20, 6, dtype=torch.float64), torch.randint(3, (20,))
    model = nn.Linear(6, 3).double()
    expected = copy.deepcopy(model)
    loss = nn.CrossEntropyLoss()
    with without_compiler():
        stepper = optimizer_of(optimizer, expected, TRIAL)
        alone = Alone(model, TRIAL, loss, optimizer)

    for step in range(5):
        stepper.param_groups[0]["lr"] = 0.01 * 0.9**step
        stepper.zero_grad()
        found = loss(expected(X), y)
        found.backward()
        nn.utils.clip_grad_norm_(expected.parameters(), 0.5)
        stepper.step()
        assert float(alone.update(X, y)) == pytest.approx(found.item(), rel=1e-12)

    assert distance(model.state_dict(), expected.state_dict()) < 1e-14


def test_nesterov_without_momentum_is_plain():
    trial = BatchedTrial(id=0, lr=0.1)
    torch.manual_seed(0)
    first = nn.Linear(2, 2)
    second = copy.deepcopy(first)
    X, y = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])

    for model, name in ((first, "nesterov"), (second, "sgd")):
        Alone(model, trial, nn.CrossEntropyLoss(), name).update(X, y)

    assert torch.equal(first.weight, second.weight)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'rmsprop'"):
        Alone(nn.Linear(2, 2), BatchedTrial(id=0, lr=0.1), nn.MSELoss(), "rmspropp")
