import math

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks.layers.activations import ACTIVATIONS, activation
from tunesmith.blocks.layers.init import INITS, fans, initialise, rule_for
from tunesmith.records import ModelError, UnknownName

# shape (out, in, kernel) = (300, 100, 3, 3): n_in = 900, n_out = 2700
EXPECTED_STD = {
    "he_normal": math.sqrt(2 / 900),
    "he_uniform": math.sqrt(2 / 900),
    "xavier_normal": math.sqrt(2 / 3600),
    "xavier_uniform": math.sqrt(2 / 3600),
    "lecun_normal": math.sqrt(1 / 900),
    "orthogonal": math.sqrt(1 / 900),
    "normal": 0.02 * 0.8796257,  # SciPy: truncnorm(-2, 2).std()
    "default": math.sqrt(1 / (3 * 900)),
}
LARGEST = {
    "he_uniform": math.sqrt(6 / 900),
    "xavier_uniform": math.sqrt(6 / 3600),
    "normal": 0.04,
    "default": math.sqrt(1 / 900),
}


def filled(name: str, shape: tuple[int, ...], **arguments: str) -> torch.Tensor:
    torch.manual_seed(0)
    weight = torch.full(shape, torch.nan, dtype=torch.float64)
    INITS[name](weight, **arguments)
    return weight


@pytest.mark.parametrize("name", EXPECTED_STD)
def test_the_deviation_is_that_of_the_formula(name):
    arguments = {"activation": "identity"} if name == "orthogonal" else {}

    weight = filled(name, (300, 100, 3, 3), **arguments)

    count = weight.numel()  # 270,000: the deviation of the estimate is about 1 / sqrt(2 count) = 0.14 %
    assert weight.std().item() == pytest.approx(EXPECTED_STD[name], rel=0.01)
    assert abs(weight.mean().item()) < 5 * EXPECTED_STD[name] / math.sqrt(count)


@pytest.mark.parametrize("name", LARGEST)
def test_bounded_initialisers_reach_their_bound_and_no_further(name):
    weight = filled(name, (300, 100, 3, 3))

    assert 0.99 * LARGEST[name] < weight.abs().max().item() <= LARGEST[name]


@pytest.mark.parametrize("name", ["he_normal", "xavier_normal", "lecun_normal"])
def test_normal_initialisers_have_the_tails_of_a_normal(name):
    weight = filled(name, (300, 100, 3, 3))

    beyond_two = (weight.abs() > 2 * EXPECTED_STD[name]).double().mean().item()
    assert beyond_two == pytest.approx(0.0455, abs=0.003)  # 2 (1 - Φ(2))


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (8, 4, 3, 3), (64, 4, 3, 3)])
@pytest.mark.parametrize(("of", "gain_squared"), [("relu", 2.0), ("tanh", 1.0), ("leaky_relu", 2 / 1.0001)])
def test_orthogonal_rows_or_columns(shape, of, gain_squared):
    flat = filled("orthogonal", shape, activation=of).reshape(shape[0], -1)

    product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    torch.testing.assert_close(product, gain_squared * torch.eye(len(product), dtype=torch.float64))


def test_he_takes_the_leak_into_account():
    ratio = filled("he_normal", (30, 30), activation="leaky_relu") / filled("he_normal", (30, 30), activation="relu")

    torch.testing.assert_close(ratio, torch.full_like(ratio, math.sqrt(1 / 1.0001)))


def test_a_member_fills_a_parameter_that_needs_gradients():
    layer = nn.Linear(4, 3)

    INITS["he_normal"](layer.weight)

    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


def mean_field(name: str, scale: float, depth: int) -> float:
    """q after `depth` layers, q <- scale E[f(sqrt(q) z)^2] with z normal: arXiv:1606.05340, eq. 3."""
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    q = scale
    for _ in range(depth):
        inner = activation(name)(torch.from_numpy(np.sqrt(q) * z)).numpy()
        q = scale * (weight @ inner**2) / weight.sum()
    return q


@pytest.mark.parametrize(("name", "scale"), [("relu", 2.0), ("tanh", 1.0), ("selu", 1.0), ("identity", 1.0)])
def test_the_automatic_rule_keeps_the_second_moment_through_twenty_layers(name, scale):
    torch.manual_seed(0)
    layers = [layer for _ in range(20) for layer in (nn.Linear(512, 512, bias=False), activation(name))]
    model = initialise(nn.Sequential(*layers), "auto", name)

    before_last = model[:-1](torch.randn(256, 512))

    expected = mean_field(name, scale, 19)
    assert expected == pytest.approx(scale, rel=0.05) or name == "tanh"  # tanh alone shrinks, slowly
    assert before_last.square().mean().item() == pytest.approx(expected, rel=0.5)  # 512 units are not infinitely many


def test_every_activation_has_a_rule():
    assert {name: rule_for(name) in INITS for name in ACTIVATIONS} == dict.fromkeys(ACTIVATIONS, True)


def test_a_transposed_convolution_counts_its_inputs_first():
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(400, 50, 3)

    initialise(layer, "he_normal")

    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (400 * 9)), rel=0.02)


def test_a_grouped_convolution_counts_the_inputs_of_its_group():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 256, 3, groups=64)

    initialise(layer, "lecun_normal")

    assert layer.weight.std().item() == pytest.approx(1 / 3, rel=0.05)


def test_biases_are_zero_and_norms_untouched():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2))
    with torch.no_grad():
        model[1].weight.fill_(0.25)

    initialise(model)

    assert model[0].bias.abs().max() == 0
    assert model[2].bias.abs().max() == 0
    assert model[1].weight.unique().item() == 0.25


def test_embeddings_are_small_and_padding_stays_zero():
    model = nn.Embedding(5000, 32, padding_idx=0)

    initialise(model)

    assert model.weight[0].abs().max() == 0
    assert model.weight[1:].std().item() == pytest.approx(0.02 * 0.8796257, rel=0.02)


def test_an_lstm_has_orthogonal_hidden_gates_and_an_open_forget_gate():
    model = nn.LSTM(6, 5, num_layers=2, bidirectional=True)

    initialise(model)

    for gate in model.weight_hh_l1_reverse.split(5):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5), atol=1e-5, rtol=0)
    total = (model.bias_ih_l0 + model.bias_hh_l0).detach()
    assert total.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10
    assert model.weight_ih_l0.abs().max() <= math.sqrt(6 / 11)


def test_attention_projections_are_three_matrices():
    torch.manual_seed(0)
    model = nn.MultiheadAttention(64, 4)

    initialise(model)

    assert model.in_proj_weight.abs().max().item() == pytest.approx(math.sqrt(6 / 128), rel=0.01)
    assert model.in_proj_bias.abs().max() == 0


def test_default_leaves_the_model_as_torch_made_it():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}

    initialise(model, "default")

    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_global_seed_decides():
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return initialise(nn.Linear(6, 4)).weight.detach().clone()

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_a_vector_has_no_fan():
    with pytest.raises(ModelError, match=r"shape \(7,\) has no fan"):
        fans(torch.empty(7))


def test_unknown_names_are_told():
    with pytest.raises(UnknownName, match="no init called 'he_norml'; did you mean 'he_normal'"):
        initialise(nn.Linear(2, 2), "he_norml")
    with pytest.raises(UnknownName, match="no activation called 'rely'; did you mean 'relu'"):
        initialise(nn.Linear(2, 2), "auto", "rely")
