import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.planted import digits, findings, mlp, program, regression, usual_loop, usual_step
from tunesmith.doctor.preflight import confident_outputs
from tunesmith.records.check import Inapplicable


def even():
    """Digits that are even, or not."""
    train, val = digits()
    return tuple((X, (y % 2).astype("float32")[:, None]) for X, y in (train, val))


def signed():
    return tuple((X, 2 * y - 1) for X, y in even())


def log_of_softmax(outputs, target):
    return -torch.log(torch.softmax(outputs, 1))[torch.arange(len(target)), target].mean()


def log_of_exponentials(outputs, target):
    scores = outputs - outputs.exp().sum(1, keepdim=True).log()
    return -scores[torch.arange(len(target)), target].mean()


def log_of_sigmoid(outputs, target):
    yes = torch.sigmoid(outputs)
    return -(target * torch.log(yes) + (1 - target) * torch.log(1 - yes)).mean()


def log_of_shares(outputs, target):
    return -(target * torch.log(outputs) + (1 - target) * torch.log(1 - outputs)).mean()


def yes_no(loss, *ends):
    model = mlp(64, 1)
    return program(
        nn.Sequential(*model, *ends), loss=loss, data=even() if not isinstance(loss, nn.SoftMarginLoss) else signed()
    )


@pytest.mark.parametrize(
    ("brought", "most"),
    [
        (lambda: program(loss=log_of_softmax), 200),
        (lambda: program(loss=log_of_exponentials), 100),
        (lambda: yes_no(log_of_sigmoid), 20),
        (lambda: yes_no(nn.SoftMarginLoss()), 100),  # torch 2 computes log(1 + exp(-y x)) as it is written
        (lambda: yes_no(log_of_shares, nn.Sigmoid()), 20),
        (lambda: program(nn.Sequential(*mlp(), nn.Softmax(1)), loss=lambda o, t: functional.nll_loss(o.log(), t)), 200),
    ],
)
def test_losses_that_break_once_the_net_is_sure(brought, most):
    (finding,) = findings("confident_outputs", brought(), above="")

    assert finding.fault == "numerics.unsafe_op"
    assert finding.values["size"] <= most
    assert finding.values["layer"] == "2"
    near = finding.values["size"] <= max(30, 3 * finding.values["reached"])
    assert finding.severity == ("warning" if near else "note")


def test_a_run_that_comes_near_is_warned():
    hot = program(loss=log_of_softmax)
    hot.model[2].weight.data *= 10

    (finding,) = findings("confident_outputs", hot)

    assert finding.values["reached"] * 3 >= finding.values["size"]


def test_a_run_that_gets_there_is_warned(monkeypatch):
    monkeypatch.setattr(confident_outputs, "largest", lambda *_: float("nan"))

    (finding,) = findings("confident_outputs", program(loss=log_of_softmax))

    assert finding.severity == "warning"
    assert finding.message == "advice.confident_outputs_lost"


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(),
        lambda: program(loss=lambda o, t: functional.nll_loss(functional.log_softmax(o, 1), t)),
        lambda: program(nn.Sequential(*mlp(), nn.LogSoftmax(1)), loss=nn.NLLLoss()),
        lambda: program(loss=nn.MultiMarginLoss()),
        lambda: yes_no(nn.BCEWithLogitsLoss()),
        lambda: yes_no(nn.BCELoss(), nn.Sigmoid()),
        lambda: program(step=usual_step),
    ],
)
def test_stable_losses(brought):
    assert not findings("confident_outputs", brought(), above="")


@pytest.mark.parametrize("brought", [regression, lambda: program(loop=usual_loop)])
def test_what_is_sure_of_nothing_or_not_plain_to_see_is_left_out(brought):
    with pytest.raises(Inapplicable):
        findings("confident_outputs", brought())
