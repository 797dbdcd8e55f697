import copy

import pytest
import torch
from torch import nn

from tunesmith.blocks.layers import NORMS, fold_norms, norm
from tunesmith.records import ModelError

KINDS = ["batch", "batch_mean_only", "batch_renorm", "sync_batch"]
BEFORE = {
    "linear": (lambda bias: nn.Linear(4, 6, bias=bias), (5, 4), 0),
    "conv1d": (lambda bias: nn.Conv1d(4, 6, 3, bias=bias), (5, 4, 9), 1),
    "conv2d": (lambda bias: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=bias), (5, 4, 7, 7), 2),
    "conv3d": (lambda bias: nn.Conv3d(4, 6, 2, bias=bias), (2, 4, 4, 4, 4), 3),
    "transposed1d": (lambda bias: nn.ConvTranspose1d(4, 6, 3, stride=2, bias=bias), (5, 4, 6), 1),
    "transposed2d": (
        lambda bias: nn.ConvTranspose2d(4, 6, 3, groups=2, output_padding=1, stride=2, bias=bias),
        (5, 4, 6, 6),
        2,
    ),
}


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def settled(layer: nn.Module) -> nn.Module:
    """With gains and averages that are not those of the start."""
    generator = torch.Generator().manual_seed(2)
    for name, value in (*layer.named_parameters(), *layer.named_buffers()):
        if value.is_floating_point():
            value.data.copy_(torch.rand(value.shape, generator=generator) + (0.5 if "running" in name else -0.5))
    return layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", BEFORE)
def test_a_folded_layer_computes_the_same(before, kind, bias):
    make, shape, dims = BEFORE[before]
    model = nn.Sequential(make(bias), settled(norm(kind, 6, dims=dims)), nn.ReLU()).double().eval()
    x = draw(*shape)
    expected = model(x)

    report = fold_norms(model, x)
    found = model(x)

    assert [row.into for row in report.folded] == ["0"]
    assert isinstance(model[1], nn.Identity)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert report.difference < 1e-12
    assert model[0].bias is not None


@pytest.mark.parametrize("with_batch", [True, False])
def test_a_norm_without_gains_and_torchs_own_layer_are_folded(with_batch):
    model = nn.Sequential(nn.Linear(4, 6), settled(nn.BatchNorm1d(6, affine=False))).double().eval()
    x = draw(5, 4)
    expected = model(x)

    fold_norms(model, x if with_batch else None)

    torch.testing.assert_close(model(x), expected)
    assert isinstance(model[1], nn.Identity)


class Tangled(nn.Module):
    """Modules in another order than the calls; an output that is used twice; a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = settled(nn.BatchNorm2d(4))
        self.twice_norm = settled(nn.BatchNorm2d(4))
        self.shared_norm = settled(nn.BatchNorm2d(4))
        self.late_norm = settled(nn.BatchNorm2d(4))
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.norm(self.conv(x))
        both = self.twice(x)
        x = self.twice_norm(both) + both
        x = self.shared_norm(self.shared(self.shared(x)))
        return self.late_norm(x.relu())


class Branching(Tangled):
    """What torch.fx cannot trace."""

    def forward(self, x):
        if x.sum() > 1e9:
            return x
        return super().forward(x)


@pytest.mark.parametrize(("kind", "with_batch"), [(Tangled, True), (Tangled, False), (Branching, True)])
def test_only_true_neighbours_are_folded(kind, with_batch):
    model = kind().double().eval()
    x = draw(2, 4, 5, 5)
    expected = model(x)

    report = fold_norms(model, x if with_batch else None)

    assert [(row.where, row.into) for row in report.folded] == [("norm", "conv")]
    why = {row.where: row.because for row in report.stayed}
    assert "used elsewhere" in why["twice_norm"]
    assert "several places" in why["shared_norm"]
    assert "no linear layer" in why["late_norm"]
    torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_a_model_that_fx_cannot_trace_asks_for_a_batch():
    with pytest.raises(ModelError, match="pass example=a batch"):
        fold_norms(Branching().eval())


def test_training_mode_is_refused():
    with pytest.raises(ModelError, match=r"training mode.*model.eval\(\)"):
        fold_norms(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))


@pytest.mark.parametrize("name", sorted(set(NORMS) - set(KINDS) - {"weight", "cosine", "none"}))
def test_norms_of_each_sample_stay(name):
    model = nn.Sequential(nn.Conv2d(4, 8, 3), norm(name, 8, dims=2)).eval()

    report = fold_norms(model)

    assert report.folded == ()
    assert "statistics of each sample" in report.stayed[0].because


def test_what_is_tied_computed_anew_or_of_another_axis_stays():
    tied = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    tied[2].weight = tied[0].weight
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4))
    inplace = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.BatchNorm1d(4))
    reports = [fold_norms(model.eval(), torch.randn(3, 4)) for model in (tied, normed, inplace)]
    axis = fold_norms(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval(), torch.randn(3, 4, 4))

    assert "shared" in reports[0].stayed[0].because
    assert "computes its weight anew" in reports[1].stayed[0].because
    assert reports[2].folded == ()
    assert "another dimension" in axis.stayed[0].because


def test_sequences_with_channels_last_are_folded():
    model = nn.Sequential(nn.Linear(4, 6), settled(norm("batch", 6, dims=1, layout="last"))).double().eval()
    x = draw(3, 7, 4)
    expected = model(x)

    report = fold_norms(model, x)

    assert report.folded
    torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_the_built_in_net_folds_with_a_batch():
    from types import SimpleNamespace

    from tunesmith.blocks import models
    from tunesmith.records import Recipe

    spec = {"x": SimpleNamespace(shape=(3, 12, 12))}
    net = models.build("cnn", Recipe(), spec, 4, "multiclass").double()
    x = draw(6, 3, 12, 12)
    net(x)
    expected = copy.deepcopy(net.eval())(x)

    report = fold_norms(net, x)

    assert len(report.folded) >= len(report.stayed)
    torch.testing.assert_close(net(x), expected, rtol=1e-9, atol=1e-9)
