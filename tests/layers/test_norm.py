import numpy as np
import pytest
import torch

from tunesmith.blocks.layers.norm import NORMS, norm
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
