import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tests.preflight.planted import findings, mlp, program
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.preflight.reached import sides
from tunesmith.records.check import Inapplicable


def pictures(side=28, rows=8, channels=1):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, channels, side, side)).astype(np.float32)
    return (X, rng.integers(0, 10, rows)), None


def of(net, side=28, channels=1):
    return program(net, data=pictures(side, channels=channels), batch_size=4)


def net(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(10))


def made(side, *layers):
    whole = net(*layers)
    whole(torch.zeros(1, 1, side, side))
    return whole


def window(layers):
    """Closed form: r = 1 + sum of dilation (k - 1) times the strides before."""
    seen, stride = 1, 1
    for kernel, step, dilation in layers:
        seen, stride = seen + dilation * (kernel - 1) * stride, stride * step
    return seen


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2), st.integers(1, 2)), min_size=1, max_size=3))
def test_the_window_is_that_of_the_closed_form(layers):
    chain = [nn.Conv2d(1, 1, kernel, step, dilation=dilation) for kernel, step, dilation in layers]
    brought = of(made(40, *chain), 40)

    across, down = sides(bench_of_program(brought), "0", str(len(chain) + 1))

    assert (across.length, across.strip) == (40, 1)
    assert across.seen == down.seen == window(layers)


@pytest.mark.parametrize("pooled", [nn.MaxPool2d(2), nn.AvgPool2d(2)])
def test_poolings_count_as_layers_and_a_dead_net_is_seen_through(pooled):
    whole = made(28, nn.Conv2d(1, 2, 3), nn.ReLU(), pooled, nn.Conv2d(2, 2, 3), nn.ReLU())
    with torch.no_grad():
        whole[3].weight.zero_()
        whole[3].bias.fill_(-1)

    first, _ = sides(bench_of_program(of(whole)), "0", "6")

    assert first.seen == window([(3, 1, 1), (2, 2, 1), (3, 1, 1)])


@pytest.mark.parametrize(("side", "kernel"), [(28, 3), (28, 5), (64, 7)])
def test_a_narrow_view(side, kernel):
    (finding,) = findings("receptive_field", of(made(side, nn.Conv2d(1, 4, kernel), nn.ReLU()), side), above="")

    assert (finding.severity, finding.message) == ("note", "advice.narrow_view")
    assert (finding.values["seen"], finding.values["length"]) == (kernel, side)
    assert finding.evidence[0].value == kernel < finding.evidence[0].threshold == side / 4
    assert finding.subject["layers"] == ["3"]


def test_a_long_side_is_known_to_its_strips():
    whole = made(256, nn.Conv2d(1, 1, 9, 4), nn.ReLU())

    first, _ = sides(bench_of_program(of(whole, 256)), "0", "3")

    assert first.strip == 4
    assert window([(9, 4, 1)]) <= first.seen <= window([(9, 4, 1)]) + 2 * 4


class LastStep(nn.Module):
    """Convolutions over a series, of which the last place alone is read."""

    def __init__(self, layers):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Conv1d(3, 3, 3) for _ in range(layers))
        self.head = nn.Linear(3, 10)

    def forward(self, x):
        x = x.transpose(1, 2)  # (N, steps, values)
        for layer in self.layers:
            x = torch.tanh(layer(functional.pad(x, (2, 0))))
        return self.head(x[:, :, -1])


def series(steps):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(8, steps, 3)).astype(np.float32), rng.integers(0, 10, 8)), None


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_steps_that_no_output_depends_on(layers):
    (finding,) = findings("receptive_field", program(LastStep(layers), data=series(30), batch_size=4), above="")

    assert finding.message == "advice.input_unseen"
    assert (finding.values["unseen"], finding.values["length"]) == (30 - (1 + 2 * layers), 30)


def test_the_same_net_where_it_sees_every_step():
    assert not findings("receptive_field", program(LastStep(4), data=series(9), batch_size=4), above="")


class Pooled(nn.Module):
    def __init__(self, norm):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), norm, nn.Linear(4, 10)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def test_a_global_pooling_sees_all():
    assert not findings("receptive_field", of(Pooled(nn.BatchNorm2d(4))), above="")


def test_two_poolings_between():
    whole = made(28, nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2))

    assert not findings("receptive_field", of(whole), above="")


def test_statistics_over_all_positions_are_no_seeing():
    whole = made(28, nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU())

    (finding,) = findings("receptive_field", of(whole), above="")

    assert finding.values["seen"] == 3


def test_what_has_no_dense_head_is_left_out():
    flat = nn.Sequential(nn.Conv2d(1, 10, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for brought in (program(mlp()), of(flat)):
        with pytest.raises(Inapplicable):
            findings("receptive_field", brought)
