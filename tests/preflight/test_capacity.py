import numpy as np
import pytest
import torch
from torch import nn

from tests.preflight.planted import digits, findings, mlp, program, regression
from tunesmith.doctor.preflight import CHECKS, bench_of_task
from tunesmith.doctor.preflight.capacity import bottlenecks
from tunesmith.records import Recipe, Task


def squeezed(width=1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, width),
        nn.Sigmoid(),
        nn.Linear(width, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def waves():
    """Whose sign hangs on the product of two inputs."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (900, 2)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    return (X[:700], y[:700]), (X[700:], y[700:])


@pytest.mark.slow
def test_everything_through_one_number():
    (found,) = findings("capacity", program(squeezed(), optimizer=lambda model: torch.optim.Adam(model.parameters())))

    assert found.fault == "model.too_small"
    assert found.subject["layers"] == ["2"]
    assert found.values["wide_held"] > found.values["held"] + 0.2


@pytest.mark.parametrize("model", [lambda: nn.Linear(2, 2), lambda: mlp(2, 2, width=1)])
def test_a_net_that_cannot_hold_the_rule(model):
    (found,) = findings("capacity", program(model(), data=waves()))

    assert found.fault == "model.too_small"


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(),
        lambda: program(nn.Linear(64, 10)),
        lambda: program(lr=1e-8),
        lambda: regression(),
        lambda: regression(model=nn.Linear(10, 1)),
        lambda: program(mlp(2, 2), data=waves(), epochs=40),
    ],
)
def test_nets_that_hold_their_rows_are_quiet(brought):
    assert findings("capacity", brought(), above="") == []


@pytest.mark.slow
def test_a_recipe_is_widened_itself():
    task = Task("mlp", digits()[0])

    small = bench_of_task(task, Recipe(model={"width": 1, "depth": 1, "norm": "none"}, train={"epochs": 10}))
    (found,) = CHECKS["capacity"].look(small)

    assert found.remedies[0].change == {"model.width": 4}


def test_bottlenecks_by_name():
    assert bottlenecks(squeezed(2)) == [("2", 2)]
    assert bottlenecks(mlp()) == []
