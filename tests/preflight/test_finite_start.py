import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import ANSWERS, CLASSES, NUMBERS, X, found, loud, net, program


class Through(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.function, self.last = nn.Linear(8, 8), function, nn.Linear(8, 5)

    def forward(self, x):
        return self.last(self.function(self.first(x)))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def naive(o, y):
    return -(y * o.sigmoid().log() + (1 - y) * (1 - o.sigmoid()).log()).mean()


@pytest.mark.parametrize(
    "function",
    [lambda x: x.log(), lambda x: 1 / (x - x), lambda x: (1e5 * x).exp(), lambda x: x.sqrt()],
    ids=["log", "division", "exp", "root"],
)
def test_the_first_module_that_breaks_is_named(function):
    (finding,) = loud("finite_start", program(Through(Function(function)), nn.CrossEntropyLoss()))

    assert (finding.fault, finding.severity, finding.subject["layers"]) == ("numerics.unsafe_op", "error", ["function"])


def test_overflow_that_float64_survives_is_told_so():
    (finding,) = loud("finite_start", program(Through(Function(lambda x: (200 * x).exp())), nn.CrossEntropyLoss()))

    assert finding.message == "outputs.nonfinite_module_float32"


def test_a_gradient_that_breaks():
    def lengths(x):
        return x - x.detach() + (0 * x).norm(dim=1, keepdim=True)

    assert not loud(
        "finite_start", program(Through(Function(lengths)), nn.CrossEntropyLoss())
    )  # torch's norm is safe at 0

    def roots(x):
        return x + (x - x).pow(2).sum(1, keepdim=True).sqrt()

    (finding,) = loud("finite_start", program(Through(Function(roots)), nn.CrossEntropyLoss()))
    assert finding.message == "outputs.nonfinite_gradient"


def test_rows_that_are_not_finite():
    broken = torch.where(X > 2.2, torch.nan, X)

    (finding,) = loud("finite_start", program(net(5), nn.CrossEntropyLoss(), inputs=broken))

    assert finding.fault == "data.nonfinite"


def test_a_loss_that_breaks_when_the_net_is_sure():
    (finding,) = loud("finite_start", program(net(1), naive, ANSWERS))

    assert (finding.message, finding.severity) == ("outputs.nonfinite_later", "warning")
    assert finding.values["size"] == 20.0  # 1 - sigmoid(17) is 0 in float32


def test_missing_targets_that_the_loss_leaves_out_are_right():
    missing = torch.where(X[:, 2:3] > 1, torch.nan, NUMBERS)

    def masked(o, y):
        held = ~y.isnan()
        return ((o - y.nan_to_num()) ** 2 * held).sum() / held.sum()

    assert not found("finite_start", program(net(1), masked, missing))


@pytest.mark.parametrize(
    ("outputs", "loss", "target"),
    [
        (5, nn.CrossEntropyLoss(), CLASSES),
        (1, nn.BCEWithLogitsLoss(), ANSWERS),
        (1, nn.PoissonNLLLoss(), NUMBERS.abs().round()),
        (2, lambda o, y: functional.gaussian_nll_loss(o[:, :1], y, o[:, 1:].exp()), NUMBERS),
        (1, lambda o, y: -(y * (o.sigmoid() + 1e-7).log() + (1 - y) * (1 - o.sigmoid() + 1e-7).log()).mean(), ANSWERS),
    ],
)
def test_sound_losses(outputs, loss, target):
    assert not found("finite_start", program(net(outputs), loss, target))
