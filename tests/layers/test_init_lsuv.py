"""Layer-sequential unit variance, and the first batch under weight normalisation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.layers.test_init_following import Restless, everything
from tunesmith.blocks.layers import data_dependent, initialise, lsuv
from tunesmith.records import ModelError


class Functional(nn.Module):
    """Functional activations, a layer used twice, and a residual."""

    def __init__(self, act, shared):
        super().__init__()
        self.one, self.two = nn.Linear(12, 20), nn.Linear(20, 20)
        self.three, self.out = (self.two if shared else nn.Linear(20, 20)), nn.Linear(20, 3)
        self.act = act

    def forward(self, x):
        x = self.act(self.one(x))
        x = x + self.act(self.two(x))
        return self.out(self.act(self.three(x)))


class Convolutions(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.one, self.deep = nn.Conv2d(2, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
        self.up, self.norm, self.out = nn.ConvTranspose2d(8, 6, 2, groups=2), nn.BatchNorm2d(6), nn.Linear(6, 4)
        self.act = act

    def forward(self, x):
        x = self.act(self.deep(self.act(self.one(x))))
        return self.out(F.adaptive_avg_pool2d(self.act(self.norm(self.up(x))), 1).flatten(1))


def variances(model, batch):
    """Measured here, with hooks of this test, over all calls of a layer."""
    outputs = {}
    hooks = [
        module.register_forward_hook(lambda m, a, o, name=name: outputs.setdefault(name, []).append(o.flatten()))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
    ]
    with torch.no_grad():
        model.eval()(batch)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(found).var(unbiased=False).item() for name, found in outputs.items()}


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
    act=st.sampled_from([F.relu, torch.tanh, torch.sigmoid, F.gelu, F.selu]),
    tol=st.sampled_from([0.1, 0.02]),
    shared=st.booleans(),
    convolutional=st.booleans(),
)
def test_every_output_has_unit_variance_afterwards(seed, scale, act, tol, shared, convolutional):
    torch.manual_seed(seed)
    model = Convolutions(act) if convolutional else Functional(act, shared)
    batch = scale * (torch.randn(64, 2, 9, 9) if convolutional else torch.randn(200, 12))

    told = lsuv(model, batch, tol=tol)

    measured = variances(model, batch)
    assert list(told) == list(measured)
    assert told == pytest.approx(measured, rel=1e-4)
    assert all(abs(variance - 1) < tol for variance in measured.values())


def test_weights_stay_orthonormal_up_to_one_factor_and_biases_stay():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 8))
    biases = [model[i].bias.detach().clone() for i in (0, 2)]

    lsuv(model, torch.randn(300, 12))

    for i in (0, 2):
        product = model[i].weight @ model[i].weight.T
        torch.testing.assert_close(product, product[0, 0] * torch.eye(8), atol=1e-5, rtol=1e-4)
        assert torch.equal(model[i].bias, biases[i // 2])


def test_directions_may_be_kept():
    model = nn.Sequential(nn.Linear(12, 8))
    before = model[0].weight.detach().clone()

    lsuv(model, torch.randn(300, 12), orthonormal=False)

    ratio = model[0].weight / before
    torch.testing.assert_close(ratio, torch.full_like(ratio, ratio[0, 0].item()))


def test_the_recipe_name_needs_data_and_does_both_halves():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(300, 12)

    with pytest.raises(ModelError, match="lsuv goes by data and got no batch"):
        initialise(model, "lsuv")
    initialise(model, "lsuv", batch=x)

    assert model[0].bias.abs().max() == 0
    assert all(abs(variance - 1) < 0.1 for variance in variances(model, x).values())


def test_frozen_layers_stay():
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 8))
    model[0].requires_grad_(False)
    before = model[0].weight.clone()

    told = lsuv(model, torch.randn(300, 12))

    assert torch.equal(before, model[0].weight)
    assert abs(told["2"] - 1) < 0.1


def test_a_weight_normed_layer_is_scaled_too_and_a_spectral_one_has_no_scale():
    torch.manual_seed(0)
    wrap = nn.utils.parametrizations
    model = nn.Sequential(wrap.weight_norm(nn.Linear(12, 8)), nn.ReLU(), wrap.spectral_norm(nn.Linear(8, 8)))
    x = 9 * torch.randn(300, 12)

    told = lsuv(model, x)

    assert abs(told["0"] - 1) < 0.1
    assert told["2"] == pytest.approx(variances(model, x)["2"], rel=1e-3)


def test_nothing_but_weights_is_changed():
    model = Restless().train()
    model(torch.randn(4, 6)).sum().backward()
    one = everything(model)

    lsuv(model, torch.randn(64, 6, generator=torch.Generator().manual_seed(0)), orthonormal=False)

    other = everything(model)
    weights = ("first.weight", "last.weight")
    assert all(torch.equal(one[0][name], other[0][name]) for name in one[0] if name not in weights)
    assert one[1:3] == other[1:3]
    assert all(torch.equal(mine, yours) for mine, yours in zip(one[3], other[3], strict=True))
    assert torch.equal(one[5], other[5])


@pytest.mark.parametrize(
    ("model", "batch", "given", "match"),
    [
        (nn.Linear(3, 2), torch.zeros(0, 3), {}, "the batch is empty"),
        (nn.Linear(3, 2, bias=False), torch.zeros(8, 3), {}, "output of Linear has variance 0 on this batch"),
        (nn.ReLU(), torch.randn(8, 3), {}, "called no linear layer or convolution"),
        (nn.Linear(3, 2), torch.randn(8, 3), {"tol": 0.0}, "expected 0 < tol < 1"),
        (nn.Linear(3, 2), torch.randn(8, 4), {}, "does not take this batch"),
    ],
)
def test_what_cannot_be_is_told(model, batch, given, match):
    with pytest.raises(ModelError, match=match):
        lsuv(model, batch, **given)


def test_a_bias_larger_than_the_variance_wanted_is_told():
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([-5.0, 5.0]))

    with pytest.raises(ModelError, match=r"after 10 iterations, not within 0\.1 of 1"):
        lsuv(model, torch.randn(50, 3))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        wrap = nn.utils.parametrizations.weight_norm
        self.conv, self.up = wrap(nn.Conv2d(2, 6, 3)), wrap(nn.ConvTranspose2d(6, 4, 2), dim=1)
        self.out = wrap(nn.Linear(4, 3))

    def forward(self, x):
        x = torch.tanh(self.up(F.relu(self.conv(x))))
        return self.out(x.movedim(1, -1))


def test_weight_normed_outputs_have_mean_zero_and_deviation_one_by_unit():
    torch.manual_seed(0)
    model, x = Normed().double(), torch.randn(16, 2, 7, 7, dtype=torch.float64) * 3 + 1
    directions = [m.parametrizations.weight.original1.clone() for m in (model.conv, model.up, model.out)]

    names = data_dependent(model, x)

    seen = {}
    for name in names:
        getattr(model, name).register_forward_hook(lambda m, a, o, name=name: seen.__setitem__(name, o))
    model(x)
    assert names == ["conv", "up", "out"]
    for name, output in seen.items():
        units = output.movedim(-1 if name == "out" else 1, 0).flatten(1)
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)).double(), atol=1e-12, rtol=0)
        torch.testing.assert_close(units.std(1, unbiased=False), torch.ones(len(units)).double())
    for layer, direction in zip((model.conv, model.up, model.out), directions, strict=True):
        assert torch.equal(layer.parametrizations.weight.original1, direction)


def test_the_formula_of_weight_normalisation_by_hand():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(5, 3).double())
    x = torch.randn(40, 5, dtype=torch.float64)
    v = layer.parametrizations.weight.original1.detach()

    data_dependent(layer, x)

    t = x @ (v / v.norm(dim=1, keepdim=True)).T
    std = t.std(0, unbiased=False)
    torch.testing.assert_close(layer.parametrizations.weight.original0.flatten(), 1 / std)
    torch.testing.assert_close(layer.bias, -t.mean(0) / std)


def test_what_data_dependent_cannot_do_is_told():
    wrap = nn.utils.parametrizations.weight_norm
    x = torch.randn(8, 3)
    with pytest.raises(ModelError, match="is under weight normalisation; wrap its layers"):
        data_dependent(nn.Linear(3, 2), x)
    with pytest.raises(ModelError, match="has no bias to centre"):
        data_dependent(wrap(nn.Linear(3, 2, bias=False)), x)
    with pytest.raises(ModelError, match=r"unit 0 of the layer .* has deviation 0 on this batch"):
        data_dependent(wrap(nn.Linear(3, 2)), torch.zeros(8, 3))
    with pytest.raises(ModelError, match=r"1 lengths for 2 units; norm its weight by unit \(dim=0\)"):
        data_dependent(wrap(nn.Linear(3, 2), dim=None), x)
