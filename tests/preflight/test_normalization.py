import pytest
import torch
from torch import nn

from tests.preflight.planted import digits, findings, mlp, program, usual_loop
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.doctor.preflight.normalization import chance_of_neighbours
from tunesmith.records.check import Inapplicable


class Pictures(nn.Module):
    def __init__(self, *middle, positions=36, channels=8):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.middle = nn.Conv2d(1, channels, 3), nn.Sequential(*middle)
        self.head = nn.Linear(channels * positions, 10)

    def forward(self, x):
        return self.head(torch.relu(self.middle(self.conv(x.reshape(len(x), 1, 8, 8)))).flatten(1))


class Steps(nn.Module):
    """Linear layers over the rows of a picture, with a norm between."""

    def __init__(self, norm):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.last = nn.Linear(8, 16), norm, nn.Linear(128, 10)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x.reshape(len(x), 8, 8)))).flatten(1))


def normed(**about):
    return mlp(64, 10, nn.BatchNorm1d(32, **about))


def far(brought):
    """Inputs whose statistics are not those that batch norm starts with."""
    X, y = brought.train
    brought.train = (10 * X + 30, y)
    return brought


@pytest.mark.parametrize("momentum", [0.0, 1e-4, 1e-3])
def test_statistics_that_hardly_move(momentum):
    (finding,) = findings("normalization", far(program(normed(momentum=momentum))))

    assert (finding.fault, finding.severity, finding.status) == ("model.bad_normalization", "warning", "confirmed")
    assert finding.message == "network.norm_statistics_stand"
    assert finding.subject["layers"] == ["1"]
    updates = 8 * 19  # epochs of 600 rows in batches of 32
    assert finding.values["left"] == pytest.approx((1 - momentum) ** updates)
    assert finding.evidence[0].value > finding.evidence[0].threshold
    assert finding.evidence[1].value > finding.evidence[1].threshold


def test_a_momentum_of_little_is_enough_for_a_long_run():
    assert not findings("normalization", far(program(normed(momentum=1e-2), epochs=100)))


@pytest.mark.parametrize("size", [2])
def test_statistics_of_the_last_few_rows(size):
    found = findings("normalization", far(program(normed(momentum=1.0), batch_size=size, data=_rows(600))))

    assert "network.norm_statistics_of_few" in [one.message for one in found]
    assert {one.severity for one in found} == {"warning"}


def _rows(count):
    train, val = digits()
    return (train[0][:count], train[1][:count]), val


def test_one_row_a_batch_raises():
    (finding,) = findings("normalization", program(normed(), batch_size=1))

    assert (finding.severity, finding.message) == ("error", "network.norm_one_row")


@pytest.mark.parametrize("size", [32, 30])
def test_one_row_left_over(size):
    rows = 18 * size + 1
    (finding,) = findings("normalization", program(normed(), batch_size=size, data=_rows(rows)))

    assert (finding.severity, finding.message) == ("error", "network.norm_one_row_left")
    assert finding.values["rows"] == rows


def test_one_row_is_enough_where_pictures_have_many_positions():
    assert not findings("normalization", program(Pictures(nn.BatchNorm2d(8)), batch_size=30, data=_rows(571)))


def test_a_loop_of_their_own_may_leave_the_last_row_out():
    assert not findings("normalization", program(normed(), batch_size=30, data=_rows(571), loop=usual_loop))


@pytest.mark.parametrize("size", [2])
def test_chance_of_neighbours(size):
    (finding,) = findings("normalization", program(normed(), batch_size=size, data=_rows(600)))

    assert (finding.severity, finding.message) == ("warning", "network.norm_few_rows")
    assert finding.values["share"] > 0.5


def test_of_two_rows_two_thirds_are_chance():
    """Of two rows batch norm gives the sign of their difference: 1 - Var(2 F(x) - 1) = 1 - 1/3, for any distribution F."""
    model = nn.Sequential(nn.BatchNorm1d(64, eps=1e-12, affine=False), nn.Flatten())
    train, val = digits()
    noisy = train[0] + torch.rand(train[0].shape, generator=torch.Generator().manual_seed(0)).numpy()
    bench = bench_of_program(
        program(nn.Sequential(model, nn.Linear(64, 10)), data=((noisy, train[1]), val), batch_size=2)
    )
    twin = bench.twin()
    twin.model = twin.model[0]

    share = chance_of_neighbours(bench, twin, {"0": twin.model[0]}, 2)

    assert share == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("norm", "severity"),
    [
        (lambda: nn.GroupNorm(32, 32), "error"),
        (lambda: nn.GroupNorm(16, 32), "warning"),
        (lambda: nn.Sequential(nn.Unflatten(1, (32, 1)), nn.LayerNorm(1), nn.Flatten()), "error"),
        (lambda: nn.Sequential(nn.Unflatten(1, (16, 2)), nn.LayerNorm(2), nn.Flatten()), "warning"),
    ],
)
def test_norms_over_one_or_two_numbers(norm, severity):
    (finding,) = findings("normalization", program(mlp(64, 10, norm())))

    assert (finding.severity, finding.fault) == (severity, "model.bad_normalization")
    assert finding.evidence[0].value == (1 if severity == "error" else 2)


@pytest.mark.parametrize("epsilon", [10.0, 1e3])
def test_an_epsilon_above_the_variance(epsilon):
    (finding,) = findings("normalization", program(mlp(64, 10, nn.LayerNorm(32, eps=epsilon))))

    assert finding.message == "network.norm_epsilon"
    variance = finding.values["variance"]
    assert finding.evidence[0].value == pytest.approx(variance / (variance + epsilon))


@pytest.mark.parametrize("model", [Steps(nn.BatchNorm1d(8)), Steps(nn.GroupNorm(2, 8)), Pictures(nn.LayerNorm(6))])
def test_another_axis_than_the_features_is_a_note(model):
    (finding,) = findings("normalization", program(model), above="")

    assert (finding.severity, finding.message) == ("note", "network.norm_axis")


SOUND = {
    "batch norm": lambda: normed(),
    "cumulative": lambda: normed(momentum=None),
    "batch norm first": lambda: nn.Sequential(nn.BatchNorm1d(64), *mlp()),
    "pictures": lambda: Pictures(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)),
    "groups": lambda: Pictures(nn.GroupNorm(4, 8), nn.InstanceNorm2d(8), nn.LayerNorm([8, 6, 6]), nn.GroupNorm(8, 8)),
    "layer norm": lambda: mlp(64, 10, nn.LayerNorm(32)),
    "steps": lambda: Steps(nn.LayerNorm(16)),
    "zero gain": lambda: _zero_gain(),
    "frozen statistics": lambda: _frozen(),
    "keras": lambda: normed(eps=1e-3, momentum=0.01),
}


def _zero_gain():
    model = normed()
    nn.init.zeros_(model[1].weight)
    return model


class Frozen(nn.BatchNorm1d):
    """Statistics of a net that was trained before."""

    def train(self, mode=True):
        return super().train(False)


def _frozen():
    return mlp(64, 10, Frozen(32))


@pytest.mark.parametrize("name", SOUND)
def test_sound_norms(name):
    assert not findings("normalization", program(SOUND[name]()), above="")


@pytest.mark.parametrize("size", [8, 16, 64])
def test_sound_sizes_of_batches(size):
    assert not findings("normalization", far(program(normed(), batch_size=size)))


def test_a_net_without_norms():
    with pytest.raises(Inapplicable, match="no norm"):
        list(CHECKS["normalization"].look(bench_of_program(program())))
