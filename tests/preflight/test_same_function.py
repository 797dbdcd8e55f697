import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tunesmith.doctor.preflight.same_function import same_function
from tunesmith.records import ModelError

X = torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(0))


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v


class Slow(nn.Module):
    """A linear layer, row by row."""

    def __init__(self, layer):
        super().__init__()
        self.weight, self.bias = nn.Parameter(layer.weight.detach().clone()), nn.Parameter(layer.bias.detach().clone())

    def forward(self, x):
        return torch.stack([self.weight @ row + self.bias for row in x])


class Detached(Slow):
    """The right outputs, and no gradient by the bias."""

    def forward(self, x):
        return x @ self.weight.T + self.bias.detach()


def test_a_fused_kernel_agrees_with_the_formula():
    same_function(functional.scaled_dot_product_attention, attention, [(X, X.flip(1), 2 * X), (3 * X, X, X)])


def test_a_module_agrees_with_its_slow_twin():
    layer = nn.Linear(8, 3)

    same_function(layer, Slow(layer), [X[0], X[1]])


@pytest.mark.parametrize(
    ("fast", "plain", "said"),
    [
        (lambda x: 2 * x, lambda x: 2.01 * x, "input 0: output differs in 240 of 240"),
        (lambda x: x.clamp(min=0), lambda x: x, "input 0: output differs"),
        (lambda x: x.sum(1), lambda x: x.sum(2), r"has the shape \(6, 8\); expected \(6, 5\)"),
        (lambda x: (x.detach() + 0 * x).exp(), torch.exp, "the gradient by argument 0"),
        (lambda x: (x, x + 1), lambda x: (x, x + 2), r"output\[1\]"),
        (lambda x: {"a": x}, lambda x: {"b": x}, "in one of the two alone"),
    ],
)
def test_the_first_difference_is_named(fast, plain, said):
    with pytest.raises(ModelError, match=said):
        same_function(fast, plain, [X])


def test_a_gradient_by_a_parameter():
    layer = nn.Linear(8, 3)

    with pytest.raises(ModelError, match="the gradient by bias"):
        same_function(Detached(layer), Slow(layer), [X[0]])


def test_only_the_second_input_shows_it():
    with pytest.raises(ModelError, match="input 1: output"):
        same_function(lambda x: x.clamp(-9, 9), lambda x: x, [X, 100 * X])


def test_double_precision_shows_what_single_hides():
    """A tanh of a low order agrees to 1e-5 near zero."""
    small = torch.linspace(-0.05, 0.05, 11)

    with pytest.raises(ModelError, match="in double precision"):
        same_function(lambda x: x - x**3 / 3 + 2 * x**5 / 15 + 1e-7, torch.tanh, [small], rtol=1e-3, atol=1e-5)


def test_a_kernel_of_single_precision_alone_is_compared_in_that():
    def fast(x):
        if x.dtype != torch.float32:
            raise TypeError("float32 alone")
        return x.exp()

    same_function(fast, torch.exp, [X])


def test_random_numbers_are_drawn_alike_and_nothing_is_changed():
    layer, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), X[0].clone()
    before, state = copy.deepcopy(layer.state_dict()), torch.get_rng_state()

    same_function(layer, copy.deepcopy(layer), [x])

    assert torch.equal(x, X[0])
    assert x.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], now) for name, now in layer.state_dict().items())


def test_without_an_input():
    with pytest.raises(ModelError, match="no input"):
        same_function(torch.exp, torch.exp, [])


@given(st.floats(0.01, 0.5), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_any_other_factor_is_a_difference(amount, seed):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))

    same_function(lambda x: x * (1 + amount), lambda x: x + amount * x, [x])
    with pytest.raises(ModelError):
        same_function(lambda x: x * (1 + amount), lambda x: x, [x])
