"""Signal and gradient through the layers at the start, against the laws of depth."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.layers.test_init_following import Restless, everything
from tunesmith.blocks.layers import initialise, signal_report
from tunesmith.records import ModelError

DEPTH, WIDTH, NETS = 6, 96, 160
FACTOR = {"he_normal": 1.0, "he_uniform": 1.0, "xavier_normal": 0.5, "xavier_uniform": 0.5, "lecun_normal": 0.5}
FACTOR |= {"default": 1 / 6, "orthogonal": 1.0}


def chain(rule, activation=nn.ReLU, depth=DEPTH):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(WIDTH, WIDTH), activation())]
    model = nn.Sequential(*layers)
    if rule == "default":
        for layer in model[::2]:
            nn.init.zeros_(layer.bias)
        return model
    return initialise(model, rule, "relu")


@pytest.mark.parametrize("rule", FACTOR)
def test_the_second_moment_follows_the_law_of_depth(rule):
    """He keeps it through L ReLU layers of equal width, Glorot and LeCun give 2^-L, torch's weights without bias 6^-L."""
    torch.manual_seed(0)
    ends = []
    for _ in range(NETS):
        x = torch.randn(4, WIDTH)
        out = chain(rule)(x)
        ends.append((out.square().mean() / x.square().mean()).item() * 2)  # a ReLU halves what leaves the last layer

    ratios = torch.tensor(ends) / 2
    error = (ratios.std() / math.sqrt(NETS)).item()
    assert abs(ratios.mean().item() - FACTOR[rule] ** DEPTH) < 5 * error
    assert error < 0.12 * FACTOR[rule] ** DEPTH  # or the test could not fail


@pytest.mark.parametrize("rule", ["he_normal", "xavier_normal", "default"])
def test_the_report_measures_the_law_forward_and_backward(rule):
    torch.manual_seed(0)
    reports = [signal_report(chain(rule), torch.randn(32, WIDTH)) for _ in range(24)]

    for way in ("forward_rate", "backward_rate"):
        logs = torch.tensor([math.log(getattr(report, way)) for report in reports])
        # the mean of a logarithm lies below that of the law by half its variance: about 5 / width a layer
        expected = math.log(FACTOR[rule]) - 2.5 / WIDTH
        error = (logs.std() / math.sqrt(len(logs))).item()
        assert abs(logs.mean().item() - expected) < 5 * error + 2.5 / WIDTH


def test_verdicts_name_what_grows_shrinks_and_dies():
    torch.manual_seed(0)
    x = torch.randn(64, WIDTH)
    small, large = chain("he_normal"), chain("he_normal")
    for model, factor in ((small, 0.2), (large, 3.0)):
        for layer in model[::2]:
            with torch.no_grad():
                layer.weight.mul_(factor)

    shrinks, grows, steady = (signal_report(model, x) for model in (small, large, chain("he_normal")))

    assert all("signal shrinks" in row.verdict for row in shrinks.rows[1:])
    assert all("gradient grows" in row.verdict for row in grows.rows[:-1])
    assert {row.verdict for row in steady.rows} == {"steady"}
    assert shrinks.verdict == "the signal vanishes and the gradient vanishes"
    assert grows.verdict == "signal and gradient pass"  # 9^5 is not yet a million
    assert steady.verdict == "signal and gradient pass"
    deep = signal_report(chain("default", depth=12), x)
    assert deep.verdict == "the signal vanishes and the gradient vanishes"


def test_numbers_are_those_of_hand_written_autograd():
    torch.manual_seed(0)
    one, two, x = nn.Linear(5, 7), nn.Linear(7, 3), torch.randn(20, 5)
    model = nn.Sequential(one, nn.Tanh(), two)
    target = torch.randn(20, 3)

    report = signal_report(model, x, lambda out: F.mse_loss(out, target))

    first = one(x)
    last = two(torch.tanh(first))
    gradients = torch.autograd.grad(F.mse_loss(last, target), (first, last))
    assert [row.layer for row in report.rows] == ["0", "2"]
    for row, output, gradient in zip(report.rows, (first, last), gradients, strict=True):
        assert row.variance == pytest.approx(output.var(unbiased=False).item(), rel=1e-5)
        assert row.second_moment == pytest.approx(output.square().mean().item(), rel=1e-5)
        assert row.gradient_variance == pytest.approx(gradient.var(unbiased=False).item(), rel=1e-5)
    assert report.rows[1].forward == pytest.approx((last.square().mean() / first.square().mean()).item(), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_model_gradients_buffers_and_generators_are_untouched(training):
    model = Restless().train(training)
    model(torch.randn(4, 6)).sum().backward()
    x = torch.randn(8, 6)
    one = everything(model)

    signal_report(model, x)

    other = everything(model)
    assert all(torch.equal(one[0][name], other[0][name]) for name in one[0])
    assert all(torch.equal(mine, yours) for mine, yours in zip(one[3], other[3], strict=True))
    assert one[1:3] == other[1:3]
    assert torch.equal(one[5], other[5])


def test_in_place_activations_frozen_parts_shared_layers_and_recurrence():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn = nn.Embedding(9, 6), nn.LSTM(6, 6, batch_first=True)
            self.same, self.attention = nn.Linear(6, 6), nn.MultiheadAttention(6, 2, batch_first=True)
            self.table.requires_grad_(False)

        def forward(self, ids):
            x, _ = self.rnn(self.table(ids))
            x = F.relu(self.same(x), inplace=True)
            x = F.relu_(self.same(x))
            return self.attention(x, x, x)[0]

    report = signal_report(Mixed(), torch.randint(0, 9, (4, 5)))

    assert [row.layer for row in report.rows] == ["table", "rnn", "same", "same (call 2)", "attention"]
    assert all(row.gradient_variance > 0 for row in report.rows)


def test_a_dead_end_is_told():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    nn.init.zeros_(model[2].weight)

    report = signal_report(model, torch.randn(8, 4))

    assert report.rows[0].verdict == "no gradient"
    assert report.verdict == "the gradient dies"
    text = str(report).splitlines()
    assert text[0].split()[:2] == ["layer", "variance"]
    assert text[-1].startswith("the gradient dies: forward ×")


def test_what_cannot_be_reported_is_told():
    with pytest.raises(ModelError, match="the batch is empty"):
        signal_report(nn.Linear(3, 2), torch.zeros(0, 3))
    with pytest.raises(ModelError, match="called no layer with weights"):
        signal_report(nn.ReLU(), torch.randn(3, 3))
    with pytest.raises(ModelError, match="the loss must be one number"):
        signal_report(nn.Linear(3, 2), torch.randn(3, 3), lambda out: out)
