import numpy as np
import pytest
import torch
from torch import nn

from tests.preflight.planted import findings, mlp, program
from tunesmith.records.check import Inapplicable


def pictures(rows, side=28):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(rows, 1, side, side)).astype(np.float32), rng.integers(0, 10, rows)), None


def net(dense, channels=16, pool=2, trained=True):
    torch.manual_seed(0)
    positions = (26 // pool) ** 2
    whole = nn.Sequential(
        nn.Conv2d(1, channels, 3),
        nn.ReLU(),
        nn.MaxPool2d(pool),
        nn.Flatten(),
        nn.Linear(channels * positions, dense),
        nn.ReLU(),
        nn.Linear(dense, 10),
    )
    whole[4].requires_grad_(trained)
    return whole


@pytest.mark.parametrize("dense", [32, 128, 256])
def test_a_head_that_holds_nearly_everything(dense):
    (finding,) = findings("head_advice", program(net(dense), data=pictures(100), batch_size=10), above="")

    weights, others = 16 * 13 * 13 * dense, 16 * 10 + dense + dense * 10 + 10
    assert (finding.severity, finding.message) == ("note", "advice.large_head")
    assert finding.subject["layers"] == ["4"]
    assert finding.values["weights"] == weights
    assert finding.values["share"] == pytest.approx(weights / (weights + others))
    assert (finding.values["positions"], finding.values["pooled"]) == (169, 16 * dense)


def test_rows_enough_for_it():
    rows = 16 * 13 * 13 * 32 // 10
    assert findings("head_advice", program(net(32), data=pictures(rows), batch_size=10), above="")
    assert not findings("head_advice", program(net(32), data=pictures(rows + 1), batch_size=10), above="")


def test_a_pooled_head():
    assert not findings("head_advice", program(net(2048, pool=26), data=pictures(20), batch_size=10), above="")


def test_a_head_that_is_not_trained_or_not_there():
    for brought in (program(net(128, trained=False), data=pictures(20), batch_size=10), program(mlp())):
        with pytest.raises(Inapplicable):
            findings("head_advice", brought)
