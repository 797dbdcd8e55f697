import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks.layers import bake_weight_norm
from tunesmith.blocks.layers.norm import NORMS, norm, norm_weights
from tunesmith.blocks.layers.norm.group import groups_of
from tunesmith.records import ModelError, UnknownName

SPATIAL = {0: (), 1: (5,), 2: (4, 3), 3: (2, 4, 3)}


def standardised(x: np.ndarray, over: tuple[int, ...], eps: float = 1e-5) -> np.ndarray:
    return (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + eps)


def scaled(y: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    shape = (1, -1, *(1,) * (y.ndim - 2))
    return y * weight.reshape(shape) + bias.reshape(shape)


def by_formula(name: str, x: np.ndarray) -> np.ndarray:
    spatial = tuple(range(2, x.ndim))
    if name == "batch":
        return standardised(x, (0, *spatial))
    if name == "layer":
        return standardised(x, (1, *spatial))
    if name == "instance":
        return standardised(x, spatial)
    if name == "rms":
        return x / np.sqrt((x**2).mean((1, *spatial), keepdims=True) + 1e-6)
    if name == "group":
        grouped = x.reshape(len(x), groups_of(x.shape[1]), -1)
        return standardised(grouped, (2,)).reshape(x.shape)
    return x


@pytest.mark.parametrize("dims", SPATIAL)
@pytest.mark.parametrize("name", ["batch", "layer", "group", "rms", "instance", "none"])
def test_a_norm_is_its_formula(name, dims):
    if (name, dims) == ("instance", 0):
        pytest.skip("refused: tested below")
    generator = np.random.default_rng(0)
    x = generator.normal(3.0, 2.0, (6, 16, *SPATIAL[dims]))
    weight, bias = generator.normal(size=16), generator.normal(size=16)
    layer = norm(name, 16, dims=dims).double()
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), (weight, bias), strict=False):
            parameter.copy_(torch.from_numpy(value))

    y = layer(torch.from_numpy(x)).detach().numpy()

    shift = np.zeros(16) if name == "rms" else bias
    expected = x if name == "none" else scaled(by_formula(name, x), weight, shift)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)


def test_batch_norm_evaluates_with_its_running_averages():
    x = np.random.default_rng(0).normal(1.0, 3.0, (8, 4))
    layer = norm("batch", 4).double()

    layer(torch.from_numpy(x))
    y = layer.eval()(torch.from_numpy(x)).detach().numpy()

    mean, var = 0.1 * x.mean(0), 0.9 + 0.1 * x.var(0, ddof=1)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-9)


@pytest.mark.parametrize("name", ["layer", "rms"])
def test_vectors_keep_any_leading_dimensions(name):
    x = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(0))
    layer = norm(name, 16)

    whole = layer(x)

    torch.testing.assert_close(whole.reshape(14, 16), layer(x.reshape(14, 16)))


@pytest.mark.parametrize("features", range(1, 200))
def test_groups_divide_the_channels_and_none_is_lonely(features):
    groups = groups_of(features)

    assert features % groups == 0
    assert 1 <= groups <= 32
    assert groups == 1 or features // groups >= 4


def test_instance_norm_of_vectors_is_refused():
    with pytest.raises(ModelError, match=r"'instance' on vectors.*try 'layer'"):
        norm("instance", 8, dims=0)


def test_four_spatial_dimensions_are_refused():
    with pytest.raises(ModelError, match=r"4 spatial dimensions.*expected 0"):
        norm("batch", 8, dims=4)


def test_an_unknown_norm_names_the_nearest():
    with pytest.raises(UnknownName, match="no norm called 'bacth'; did you mean 'batch'"):
        norm("bacth", 8)


def test_batch_norm_trains_under_vmap_with_stacked_averages():
    layers = [norm("batch", 4, dims=2).double() for _ in range(3)]
    x = torch.randn(3, 5, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parameters, buffers = torch.func.stack_module_state(layers)

    def one(parameters, buffers, x):
        return torch.func.functional_call(layers[0], (parameters, buffers), (x,))

    together = torch.vmap(one)(parameters, buffers, x)

    for i, layer in enumerate(layers):
        torch.testing.assert_close(together[i], layer(x[i]))
        torch.testing.assert_close(buffers["running_mean"][i], layer.running_mean)
        torch.testing.assert_close(buffers["running_var"][i], layer.running_var)
        assert buffers["num_batches_tracked"][i] == 1
    assert "batch" in NORMS


def test_batch_norm_under_vmap_with_shared_averages_raises():
    layer = norm("batch", 4)
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))

    with pytest.raises(RuntimeError, match="running"):
        torch.vmap(layer)(x)


@pytest.mark.parametrize(("groups", "inputs", "units"), [(1, 4, 6), (2, 4, 6), (3, 3, 3)])
def test_weight_norm_of_a_transposed_convolution_is_by_output_unit(groups, inputs, units):
    layer = nn.ConvTranspose2d(inputs, units, 3, groups=groups).double()
    x = torch.randn(2, inputs, 5, 5, dtype=torch.float64)
    expected = layer(x)

    normed = NORMS["weight"](layer)
    torch.testing.assert_close(normed(x), expected)
    with torch.no_grad():
        normed.parametrizations.weight.original1.mul_(7.0)  # the scale of v is free
        normed.parametrizations.weight.original0[0, 0, 0] = 0  # g of the first unit
    silent = normed(x) - normed.bias.reshape(1, -1, 1, 1)
    torch.testing.assert_close(silent[:, 1:], (expected - layer.bias.reshape(1, -1, 1, 1))[:, 1:])
    assert silent[:, 0].abs().max() == 0


def test_weight_norm_baked_is_the_plain_layer_again():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    x = torch.randn(3, 4)
    norm_weights(model, "weight")
    with torch.no_grad():
        model[0].parametrizations.weight.original0.mul_(2.0)
    expected = model(x)

    bake_weight_norm(model)

    assert [type(part) for part in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert set(model.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    torch.testing.assert_close(model(x), expected)


def test_a_unit_without_direction_is_refused_by_weight_norm():
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)

    with pytest.raises(ModelError, match="has no direction"):
        NORMS["weight"](layer)


def test_cosines_of_transposed_convolutions_are_refused():
    with pytest.raises(ModelError, match="no one vector to divide by"):
        NORMS["cosine"](nn.ConvTranspose2d(2, 2, 3))


def test_a_shared_layer_is_wrapped_once_and_shared_still():
    layer = nn.Linear(3, 3)
    model = norm_weights(nn.Sequential(layer, nn.ReLU(), layer), "cosine")

    assert model[0] is model[2]
    assert model[0].weight is layer.weight


@pytest.mark.parametrize(
    "name", [name for name in NORMS if name not in ("weight", "cosine", "none", "rms", "layer", "group")]
)
def test_an_input_of_another_layout_is_refused_with_a_way_out(name):
    with pytest.raises(ValueError, match="expected"):
        norm(name, 8, dims=2)(torch.randn(4, 8, 5))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, in a formula of its own
def test_derivatives_forward_over_reverse_exist():
    layer = norm("rms", 4, dims=1).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64)

    def total(x):
        return layer(x).pow(3).sum()

    forward = torch.func.jacfwd(torch.func.grad(total))(x)
    reverse = torch.func.jacrev(torch.func.grad(total))(x)

    torch.testing.assert_close(forward, reverse)


@pytest.mark.parametrize("name", ["frn", "rms", "batch_renorm", "batch_mean_only"])
def test_second_derivatives_at_a_constant_map_are_finite(name):
    x = torch.zeros(3, 4, 5, dtype=torch.float64, requires_grad=True)
    layer = norm(name, 4, dims=1).double()

    (gradient,) = torch.autograd.grad(layer(x).sin().sum(), x, create_graph=True)
    (gradient.square().sum() + x.sum()).backward()

    assert torch.isfinite(x.grad).all()
