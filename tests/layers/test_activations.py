import math
from statistics import NormalDist

import pytest
import torch

from tunesmith.blocks.layers.activations import ACTIVATIONS, RELU_FAMILY, SATURATING, activation

ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805  # arXiv:1706.02515, appendix A1

FORMULAS = {
    "relu": lambda x: max(0.0, x),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "gelu": lambda x: x * NormalDist().cdf(x),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: LAMBDA * (x if x > 0 else ALPHA * (math.exp(x) - 1)),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "hard_swish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "identity": lambda x: x,
}
POINTS = [-4.0, -3.0, -1.0, -0.2, 0.0, 0.3, 1.0, 2.5, 5.0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_formula(name):
    y = activation(name)(torch.tensor(POINTS, dtype=torch.float64))

    assert y.tolist() == pytest.approx([FORMULAS[name](x) for x in POINTS], rel=1e-9, abs=1e-12)


def test_the_families_name_members():
    assert set(ACTIVATIONS) >= RELU_FAMILY | SATURATING
    assert not RELU_FAMILY & SATURATING
