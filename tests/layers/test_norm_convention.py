import numpy as np
import pytest
import torch

from tunesmith.blocks.experience import number
from tunesmith.blocks.layers import batch_norm_from, eps_of, momentum_from, norm, unbiased_var
from tunesmith.records import ModelError, UnknownName


@pytest.mark.parametrize("framework", ["keras", "tf", "TensorFlow", "flax"])
def test_a_momentum_of_the_old_value_moves_the_average_as_torch_does(framework):
    x = np.random.default_rng(0).normal(2.0, 3.0, (50, 4))
    layer = norm("batch", 4, momentum=momentum_from(framework, 0.99)).double()

    layer(torch.from_numpy(x))

    np.testing.assert_allclose(layer.running_mean, 0.99 * 0 + 0.01 * x.mean(0))  # keras: new = m old + (1 - m) batch
    np.testing.assert_allclose(layer.running_var, 0.99 * 1 + 0.01 * x.var(0, ddof=1))


def test_torch_states_the_weight_of_the_new_value():
    assert momentum_from("torch", 0.1) == 0.1


def test_the_numbers_are_those_of_the_rules_of_thumb():
    assert (eps_of("tf"), eps_of("torch")) == (
        number("norm.consts", "eps_tensorflow"),
        number("norm.consts", "eps_torch"),
    )
    assert norm("batch", 2).momentum == number("norm.consts", "momentum_torch")
    assert float(norm("frn", 2, dims=1).eps) == pytest.approx(number("norm.consts", "eps_frn"))


def test_eps_differs_by_framework():
    assert (eps_of("keras"), eps_of("tf"), eps_of("torch"), eps_of("flax")) == (1e-3, 1e-3, 1e-5, 1e-5)


@pytest.mark.parametrize("call", [momentum_from, lambda name, _: eps_of(name)])
def test_an_unknown_framework_names_the_nearest(call):
    with pytest.raises(UnknownName, match="did you mean 'keras'"):
        call("kerass", 0.9)


def test_a_momentum_outside_its_range_is_refused():
    with pytest.raises(ModelError, match="a momentum of 9 in keras"):
        momentum_from("keras", 9)


def test_an_unbiased_variance_is_numpys():
    x = np.random.default_rng(0).normal(size=(7, 3))

    found = unbiased_var(torch.from_numpy(x.var(0)), 7)

    np.testing.assert_allclose(found, x.var(0, ddof=1))
    with pytest.raises(ModelError, match="of 1 values"):
        unbiased_var(torch.ones(1), 1)


def test_an_imported_layer_evaluates_by_keras_formula():
    generator = np.random.default_rng(0)
    gamma, beta, mean = generator.normal(size=(3, 5))
    var, x = generator.uniform(0.1, 2, 5), generator.normal(size=(4, 5, 3, 3))

    layer = batch_norm_from(
        "keras",
        **{
            name: torch.from_numpy(value)
            for name, value in {"gamma": gamma, "beta": beta, "mean": mean, "var": var}.items()
        },
        dims=2,
    )

    shape = (1, -1, 1, 1)
    expected = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-3) * gamma.reshape(shape) + beta.reshape(
        shape
    )
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach(), expected, rtol=1e-9)
    assert layer.momentum == pytest.approx(0.01)
