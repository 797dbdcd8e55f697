import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from tests.preflight.planted import digits, findings, mlp, program, regression, usual_loop, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.doctor.preflight.update_ratio import ratio
from tunesmith.records.check import Inapplicable


def adam(lr, **about):
    return lambda model: torch.optim.Adam(model.parameters(), lr=lr, **about)


@pytest.mark.parametrize("step", [None, usual_step])
@pytest.mark.parametrize("rate", [30.0, 300.0])
def test_updates_that_are_too_long(rate, step):
    (finding,) = findings("update_ratio", program(lr=rate, step=step))

    assert (finding.fault, finding.severity, finding.status) == ("lr.too_high", "error", "confirmed")
    last, better, length = finding.evidence
    assert last.value > last.threshold
    assert better.value < better.threshold
    assert length.value > 0.1
    assert finding.values["factor"] < 1


def test_a_linear_model_past_its_bound_diverges():
    """Gradient descent on a mean square diverges from 2 / largest eigenvalue of its Hessian, 2 X'X / N, on; half of it does not."""
    data = _whole()
    X = data[0][0]
    bound = 2 / np.linalg.eigvalsh(2 * X.T @ X / len(X))[-1]

    def at(share):
        model = nn.Linear(10, 1, bias=False)
        nn.init.zeros_(model.weight)
        return regression(
            model=model,
            data=data,
            optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=share * bound),
            batch_size=len(X),
            epochs=60,
        )

    (finding,) = findings("update_ratio", at(1.5))
    assert finding.fault == "lr.too_high"
    assert not findings("update_ratio", at(0.5))


def _whole():
    X = np.random.default_rng(0).normal(size=(300, 10)).astype(np.float32)
    y = (X @ np.arange(10, dtype=np.float32))[:, None] / 10
    return (X, y.astype(np.float32)), None


@pytest.mark.parametrize("rate", [1e-7, 1e-9])
def test_updates_that_move_nothing(rate):
    (finding,) = findings("update_ratio", program(optimizer=adam(rate)))

    assert (finding.fault, finding.severity) == ("lr.too_low", "warning")
    assert finding.values["reach"] < 0.05
    assert finding.values["factor"] >= 1e3


class Signs(torch.optim.Optimizer):
    def step(self, closure=None):
        with torch.no_grad():
            for each in self.param_groups[0]["params"]:
                each.sub_(self.param_groups[0]["lr"] * torch.where(each.grad < 0, -1.0, 1.0))


def test_the_ratio_is_the_length_of_an_update_over_that_of_the_weights():
    """An optimizer that moves every number by the rate: rate · √numbers over the length of the weights."""
    brought = program(nn.Linear(64, 10), optimizer=lambda model: Signs(model.parameters(), {"lr": 1e-4}))
    weight = brought.model.weight.detach()

    found = ratio(bench_of_program(brought))

    assert found == pytest.approx(1e-4 * weight.numel() ** 0.5 / float(weight.norm()), rel=0.01)


SOUND = {
    "usual": lambda: program(),
    "adam": lambda: program(optimizer=adam(1e-3)),
    "small but long": lambda: program(optimizer=adam(1e-5), epochs=400),
    "regression": lambda: regression(),
    "warm-up": lambda: program(lr=0.2, scheduler=_warm, schedule_unit="step"),
    "no signal": lambda: program(data=_noise()),
    "unscaled inputs": lambda: program(data=_raw(), lr=0.05),
}


def _warm(optimizer):
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 500))


def _noise():
    (X, y), _ = digits()
    return (X, np.random.default_rng(0).permutation(y)), None


def _raw():
    (X, y), _ = digits()
    return (400 * X + 300, y), None


@pytest.mark.parametrize("name", SOUND)
def test_rates_that_are_not_to_blame(name):
    assert not findings("update_ratio", SOUND[name]())


@pytest.mark.parametrize(
    ("brought", "words"),
    [
        (lambda: program(loop=usual_loop), "loop"),
        (lambda: program(epochs=1, batch_size=200), "too few"),
        (lambda: program(loss=lambda o, y: -o.mean() - 5), "positive"),
        (lambda: program(mlp(63)), "raises"),
    ],
)
def test_where_there_is_nothing_to_look_at(brought, words):
    with pytest.raises(Inapplicable, match=words):
        list(CHECKS["update_ratio"].look(bench_of_program(brought())))
