"""Where `fit` stops at a number that is not finite, the batch is gone through again and its birth named."""

from typing import Any

import pytest
import torch
from torch import nn

import tunesmith as ts
from tunesmith.records import TrainingFailed
from tunesmith.reports import QuietDisplay

RECIPE = {
    "train.epochs": 2,
    "train.batch_size": 16,
    "data.val": 0.2,
    "data.test": 0.0,
    "eval.bootstrap": 0,
    "optim.name": "sgd",
    "optim.lr": 1e-2,
    "train.recover": "off",  # else updates are left out before the end is told
}


class Head(nn.Module):
    """Scores through an operation, from the pass `first` on."""

    def __init__(self, through, first=0):
        super().__init__()
        self.inner, self.tail = nn.Linear(5, 2), through
        self.passes, self.first = 0, first

    def forward(self, x):
        self.passes += self.training
        scores = self.inner(x)
        return self.tail(scores) if self.passes > self.first else scores


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x.relu())


class Root(nn.Module):
    def forward(self, x):
        return x + torch.sqrt(0 * x)


class Heard(QuietDisplay):
    def __init__(self):
        self.found: list[Any] = []

    def finding(self, finding, step):
        self.found.append(finding)


def data():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long()


def failed(model, **more):
    heard = Heard()
    with pytest.raises(TrainingFailed) as error:
        ts.fit(ts.Task(model, train=data()), RECIPE | more, display=heard)
    return heard.found, str(error.value)


@pytest.mark.parametrize(
    ("through", "direction", "why"), [(Logarithm, "forward", "log"), (Root, "backward", "root_slope")]
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_module_direction_and_update_are_named(through, direction, why, accumulate):
    torch.manual_seed(0)

    (birth, end), said = failed(Head(through(), first=3 * accumulate), **{"train.accumulate": accumulate})

    assert (birth.fault, end.fault) == ("numerics.unsafe_op", "loss.nonfinite")
    assert birth.subject["module"] == "tail"
    assert birth.subject["direction"] == direction
    assert birth.subject["why"].startswith(why)
    assert birth.subject["step"] in (3, 4)  # the pass of the dry run counts
    assert (end.subject["module"], end.subject["direction"]) == ("tail", direction)
    assert end.caused_by == "numerics.unsafe_op"
    assert birth.because in said


def test_an_update_that_spoils_the_weights_is_named():
    (birth, end), _ = failed(nn.Linear(5, 2), **{"optim.lr": 1e39, "optim.weight_decay": 0.0})

    assert birth.subject["direction"] == "update"
    assert end.subject["direction"] == "update"


def test_a_decay_that_turns_the_weights_over_is_named_with_its_number():
    (birth, _), _ = failed(nn.Linear(5, 2), **{"optim.lr": 1e30, "optim.weight_decay": 0.01})

    assert birth.fault == "reg.too_strong"
    assert birth.values["decay_times_rate"] == pytest.approx(1e28, rel=0.1)


def test_without_the_watch_the_end_alone_is_told():
    (end,), _ = failed(Head(Logarithm()), **{"run.watch": False})

    assert end.fault == "loss.nonfinite"
    assert "module" not in end.subject


def test_a_sound_run_says_nothing_and_is_the_same_as_without():
    runs = []
    for watched in (True, False):
        torch.manual_seed(0)
        heard = Heard()
        model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.2), nn.Linear(8, 2))
        runs.append(ts.fit(ts.Task(model, train=data()), RECIPE | {"run.watch": watched}, display=heard).model)
        assert "loss.nonfinite" not in [one.fault for one in heard.found]

    for one, other in zip(*(run.parameters() for run in runs), strict=True):
        assert torch.equal(one, other)
