"""Where the first number that is not finite is born: one batch at a time."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tunesmith.doctor.probes.nonfinite import origin
from tunesmith.doctor.probes.nonfinite_replay import Replaying


class Net(nn.Module):
    """Two layers with something between."""

    def __init__(self, between, outputs=3):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.between = nn.Linear(4, 8), nn.Linear(8, outputs), between

    def forward(self, x):
        return self.last(self.between(self.first(x)))


class Between(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def batch(rows=12):
    draw = torch.Generator().manual_seed(1)
    return torch.randn(rows, 4, generator=draw), torch.randint(0, 3, (rows,), generator=draw)


def row_of_zeros(x, row=5):
    return torch.where(torch.arange(len(x))[:, None] == row, torch.zeros_like(x), x)


FORWARD = {
    "log_zero": lambda x: torch.log(row_of_zeros(x).abs()),
    "log_negative": lambda x: torch.log(row_of_zeros(x.abs()) - 1e-3),
    "zero_by_zero": lambda x: row_of_zeros(x) / row_of_zeros(x).sum(1, keepdim=True),
    "division_by_zero": lambda x: 1 / row_of_zeros(x.abs() + 1),
    "root_negative": lambda x: torch.sqrt(x.abs() + 1 - 2 * row_of_zeros(torch.ones_like(x)).logical_not() * 1e3),
    "power_negative": lambda x: (x.abs() + 1 - 1e3 * row_of_zeros(torch.ones_like(x)).logical_not()) ** 0.5001,
    "arc_beyond": lambda x: torch.acos(torch.where(row_of_zeros(torch.ones_like(x)) == 0, 1.001, x.tanh() * 0.9)),
    "exp_overflow": lambda x: torch.exp(torch.where(row_of_zeros(torch.ones_like(x)) == 0, 100.0, x)),
    "overflow": lambda x: torch.where(row_of_zeros(torch.ones_like(x)) == 0, 1e30, x) * 1e20,
    "half_overflow": lambda x: torch.where(row_of_zeros(torch.ones_like(x)) == 0, 1e5, x).half().float(),
    "empty_row": lambda x: x.masked_fill(row_of_zeros(torch.ones_like(x)) == 0, -math.inf).softmax(1),
}


@pytest.mark.parametrize("why", FORWARD)
def test_an_operation_in_forward_is_named_with_its_module_its_row_and_why(why):
    found = origin(Net(Between(FORWARD[why])), F.cross_entropy, *batch(), step=7)

    assert found is not None
    assert (found.module, found.direction, found.step, found.rows) == ("between", "forward", 7, (5,))
    assert found.why in (
        why,
        "root_negative" if why == "power_negative" else why,
    )  # torch takes a root for the power 0.5
    assert found.cured is True
    assert "test_nonfinite.py" in found.code
    assert found.fault == "numerics.unsafe_op"


def cut(x, row=5):
    """One row times 0: its gradient is multiplied too."""
    return x * (torch.arange(len(x))[:, None] != row)


SLOPES = {
    "root_slope": lambda x: (cut(x) ** 2).sqrt(),
    "log_slope": lambda x: torch.where(cut(x) == 0, 0.0, torch.log(cut(x).abs())),
    "power_slope": lambda x: (cut(x) ** 2) ** 0.3,
}


@pytest.mark.parametrize("why", SLOPES)
def test_a_slope_is_named_though_the_value_is_finite(why):
    found = origin(Net(Between(SLOPES[why])), F.cross_entropy, *batch())

    assert found is not None
    assert (found.module, found.direction, found.why) == ("between", "backward", why)
    assert found.rows == (5,)


def test_a_hand_written_backward_is_named():
    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.abs()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * ctx.saved_tensors[0].abs() / ctx.saved_tensors[0]

    found = origin(Net(Between(lambda x: Halved.apply(cut(x)))), F.cross_entropy, *batch())

    assert (found.module, found.direction, found.op) == ("between", "backward", "Halved")
    assert "gradient *" in found.code


@pytest.mark.parametrize(
    ("loss_fn", "direction", "why"),
    [
        (lambda out, y: -torch.log(out.softmax(1) * 0 + (y != y[0])[:, None]).mean(), "loss", "log_zero"),
        (lambda out, y: ((out - out.detach()) ** 2).sum(1).sqrt().mean(), "backward", "root_slope"),
        (lambda out, y: F.cross_entropy(out, torch.full_like(y, -100)), "loss", "nothing_counted"),
    ],
)
def test_the_loss_is_told_from_the_model(loss_fn, direction, why):
    found = origin(Net(nn.ReLU()), loss_fn, *batch())

    assert (found.module, found.direction, found.why) == ("loss", direction, why)


def test_bad_inputs_and_targets_are_named_with_rows_and_columns():
    x, y = batch()
    x[3, 1], x[8, 2] = math.nan, math.inf
    target = torch.zeros(12, 3)
    target[2, 0] = math.nan

    inputs = origin(Net(nn.ReLU()), F.cross_entropy, x, y)
    targets = origin(Net(nn.ReLU()), F.mse_loss, batch()[0], target)

    assert (inputs.module, inputs.fault, inputs.rows, inputs.columns) == ("input", "data.nonfinite", (3, 8), (1, 2))
    assert (targets.module, targets.direction, targets.rows) == ("target", "input", (2,))


def test_weights_that_have_grown_are_the_rate_and_not_the_operation():
    model = Net(nn.ReLU())
    with torch.no_grad():
        model.last.weight *= 1e30
        model.first.weight *= 1e15

    grown = origin(model, F.mse_loss, batch()[0], torch.zeros(12, 3), grown={"last.weight": 1e30})
    as_begun = origin(model, F.mse_loss, batch()[0], torch.zeros(12, 3))

    assert (grown.why, grown.fault) == ("exploding", "lr.too_high")
    assert (as_begun.why, as_begun.fault) == ("overflow", "numerics.unsafe_op")


QUIET = {
    "nothing": nn.ReLU(),
    "mask": Between(lambda x: x.masked_fill(torch.eye(len(x), 8, dtype=torch.bool), -math.inf).softmax(1)),
    "minimum": Between(lambda x: torch.minimum(torch.full_like(x, math.inf), x)),
    "masked twice": Between(lambda x: torch.where(x > 0, torch.where(x > 0, x, torch.ones_like(x)).log(), 0.0)),
    "pole that comes to nothing": Between(lambda x: x + torch.exp(torch.log(torch.zeros_like(x)))),
}


@pytest.mark.parametrize("name", QUIET)
def test_infinities_that_come_to_nothing_are_left_alone(name):
    assert origin(Net(QUIET[name]), F.cross_entropy, *batch()) is None


def test_inputs_that_the_model_replaces_are_left_alone():
    x, y = batch()
    x[3, 1] = math.nan

    assert origin(nn.Sequential(Between(torch.nan_to_num), Net(nn.ReLU())), F.cross_entropy, x, y) is None


def test_two_poles_are_told_apart_by_what_mending_them_does():
    def between(x):
        harmless = torch.where(x > -1e9, x, torch.log(x - x))
        return harmless + torch.log(row_of_zeros(x).abs())

    found = origin(Net(Between(between)), F.cross_entropy, *batch())

    assert (found.why, found.cured, found.rows) == ("log_zero", True, (5,))


def test_the_model_is_left_bit_for_bit_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.calls = nn.BatchNorm1d(8), 0

        def forward(self, x):
            self.calls += 1
            return torch.log(F.dropout(self.norm(x), 0.5) * 0)

    model = Net(Counting())
    F.cross_entropy(model(batch()[0]), batch()[1])
    for one in model.parameters():
        one.grad = torch.ones_like(one)
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    found = origin(model, F.cross_entropy, *batch())

    assert found is not None
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert all(torch.equal(one.grad, torch.ones_like(one)) for one in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert model.between.calls == 1
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not Replaying.now


def test_random_numbers_are_those_of_the_call():
    def noisy(x):
        return x - torch.log(torch.rand(x.shape, generator=None) > 0.02)

    model, (x, y) = Net(Between(noisy)), batch()
    torch.manual_seed(3)

    found = origin(model, F.cross_entropy, x, y)

    torch.manual_seed(3)
    drawn = torch.rand(12, 8) <= 0.02
    assert found.rows == tuple(int(row) for row in drawn.any(1).nonzero()[:, 0])


def test_a_part_of_the_rows_that_only_together_are_bad_is_not_made_up():
    found = origin(Net(Between(lambda x: x / (x.std(0) * 0))), F.cross_entropy, *batch())

    assert found.module == "between"
    assert len(found.rows) in (0, 12)
