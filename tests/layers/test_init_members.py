"""What each initialiser's law says, beside what the contract asks of all."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks.layers import INITS, gain
from tunesmith.blocks.layers.init import DEVIATIONS, fan, rule_for
from tunesmith.blocks.layers.init.filling import as_held, as_outputs, fill_weight
from tunesmith.records import ModelError, UnknownName


def filled(name, shape=(300, 100, 3, 3), seed=0, **given):
    weight = torch.full(shape, torch.nan, dtype=torch.float64)
    INITS[name](weight, generator=torch.Generator().manual_seed(seed), **given)
    return weight


@pytest.mark.parametrize(
    ("name", "given", "std"),
    [
        ("lecun_uniform", {}, math.sqrt(1 / 900)),
        ("gaussian", {}, 0.01),
        ("gaussian", {"std": 0.3}, 0.3),
        ("uniform", {}, 0.05 / math.sqrt(3)),
        ("truncated_normal", {}, 0.02),
        ("truncated_normal_torch", {}, 0.02),
        ("truncated_normal_torch", {"std": 1.0}, 0.8796256610342398),
        ("sparse", {}, math.sqrt(15 / 900)),
        ("variance_scaling", {}, math.sqrt(1 / 900)),
        ("variance_scaling", {"scale": 2.0}, math.sqrt(2 / 900)),
        ("variance_scaling", {"mode": "fan_avg", "distribution": "normal"}, math.sqrt(2 / 3600)),
        ("variance_scaling", {"mode": "fan_out", "distribution": "uniform"}, math.sqrt(1 / 2700)),
        ("he_normal", {"mode": "fan_out"}, math.sqrt(2 / 2700)),
        ("delta_orthogonal", {}, math.sqrt(1 / 2700)),
    ],
)
def test_the_deviation_is_that_of_the_formula(name, given, std):
    weight = filled(name, **given)

    assert weight.std().item() == pytest.approx(std, rel=0.02)  # 270,000 entries, of which a few thousand are not 0


def test_the_three_truncated_normals_are_three_laws():
    largest = {
        name: filled(name).abs().max().item() for name in ("normal", "truncated_normal", "truncated_normal_torch")
    }

    assert 0.0399 < largest["normal"] <= 0.04
    assert 0.0454 < largest["truncated_normal"] <= 0.04 / 0.8796256610342398
    assert largest["truncated_normal_torch"] > 0.08  # four deviations in 270,000 draws: nothing was cut


def test_torch_has_the_same_absolute_cut():
    ours = filled("truncated_normal_torch", std=1.5)
    theirs = nn.init.trunc_normal_(torch.empty(300, 100, 3, 3, dtype=torch.float64), std=1.5)

    assert ours.abs().max() <= 2
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.01)


@pytest.mark.parametrize("shape", [(6, 6, 3, 3), (8, 4, 5), (6, 4, 3, 1, 3)])
def test_delta_orthogonal_keeps_the_norm_through_a_padded_convolution(shape):
    weight = filled("delta_orthogonal", shape)
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 3]
    layer = convolution(shape[1], shape[0], shape[2:], padding="same", padding_mode="circular", bias=False).double()
    layer.weight.data = weight
    x = torch.randn(2, shape[1], *(7,) * (len(shape) - 2), dtype=torch.float64)

    torch.testing.assert_close(layer(x).norm(), x.norm())


def test_identity_layers_copy_their_input():
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    convolution = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False).double()

    fill_weight(convolution, INITS["identity"], "relu")

    torch.testing.assert_close(convolution(x), x)
    assert torch.equal(filled("identity", (3, 3)), torch.eye(3, dtype=torch.float64))
    expected = nn.init.dirac_(torch.empty(4, 2, 3, 3, dtype=torch.float64), groups=2)
    assert torch.equal(filled("identity", (4, 2, 3, 3), groups=2), expected)


def test_sparse_gives_each_unit_fifteen_inputs():
    few = filled("sparse", (50, 4, 3))

    assert (filled("sparse", (80, 200)) != 0).sum(1).tolist() == [15] * 80
    assert (few != 0).flatten(1).sum(1).tolist() == [12] * 50  # a unit with fewer inputs has them all


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("name", ["orthogonal", "lsuv"])
def test_orthogonal_is_by_group(kind, name):
    layer = kind(12, 8, 3, groups=4).double()

    fill_weight(layer, INITS[name], "identity")

    parts = as_outputs(layer, layer.weight.detach()).flatten(1).unflatten(0, (4, 2))
    torch.testing.assert_close(parts @ parts.mT, torch.eye(2, dtype=torch.float64).expand(4, 2, 2))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kind", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
def test_a_transposed_weight_is_seen_by_its_outputs(kind, groups):
    layer = kind(8, 12, 3, groups=groups, bias=False).double()

    seen = as_outputs(layer, layer.weight)

    assert seen.shape[:2] == (12, 8 // groups)
    assert torch.equal(as_held(layer, seen), layer.weight)
    one = torch.zeros(1, 8, *(1,) * (layer.weight.dim() - 2)).double()
    one[:, 5] = 1  # a single position: the output is the kernel of input 5 to every output
    group = 5 // (8 // groups)
    outputs = slice(group * 12 // groups, (group + 1) * 12 // groups)
    torch.testing.assert_close(layer(one)[0, outputs], seen[outputs, 5 % (8 // groups)])


@pytest.mark.parametrize("groups", [1, 5])
def test_a_transposed_convolution_counts_the_inputs_of_its_group(groups):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(200, 100, 3, groups=groups)

    fill_weight(layer, INITS["he_normal"], "relu")

    count = layer.weight.numel()
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (200 / groups * 9)), rel=5 / math.sqrt(2 * count))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_drawn_in_single_and_rounded(dtype):
    half = torch.empty(64, 32, dtype=dtype)
    single = torch.empty(64, 32)
    for weight in (half, single):
        INITS["he_uniform"](weight, generator=torch.Generator().manual_seed(3))

    assert torch.equal(half, single.to(dtype))


@pytest.mark.parametrize(
    ("name", "theirs", "arguments"),
    [
        ("relu", "relu", ()),
        ("tanh", "tanh", ()),
        ("leaky_relu(0.3)", "leaky_relu", (0.3,)),
        ("leaky_relu", "leaky_relu", ()),
        ("sigmoid", "sigmoid", ()),
        ("selu", "selu", ()),
        ("linear", "linear", ()),
    ],
)
def test_gains_are_those_of_torch(name, theirs, arguments):
    assert gain(name) == pytest.approx(nn.init.calculate_gain(theirs, *arguments))


def test_selu_has_two_gains_with_two_names():
    assert (gain("selu"), gain("selu_normalising")) == (0.75, 1.0)


def test_rules_know_slopes_and_what_no_catalogue_has():
    names = ("leaky_relu(0.2)", "relu6", "softsign", "attention", "selu", "prelu(0.25)")

    assert [rule_for(name) for name in names] == [
        *("he_normal", "he_normal", "xavier_uniform", "xavier_uniform", "lecun_normal", "he_normal")
    ]


def test_wrong_settings_are_told():
    weight = torch.empty(4, 3)
    with pytest.raises(ModelError, match="no distribution 'cauchy'; choose truncated_normal, normal or uniform"):
        INITS["variance_scaling"](weight, distribution="cauchy")
    with pytest.raises(ModelError, match=r"scale = 0.0; expected a number above 0"):
        INITS["variance_scaling"](weight, scale=0.0)
    with pytest.raises(ModelError, match="no fan 'fan_on'; choose fan_in, fan_out, fan_avg"):
        INITS["he_normal"](weight, mode="fan_on")
    with pytest.raises(ModelError, match="4 outputs do not divide into 3 groups"):
        INITS["orthogonal"](weight, groups=3)
    with pytest.raises(ModelError, match="tanh has no slope"):
        gain("tanh(0.2)")
    with pytest.raises(UnknownName, match="no activation called 'rely'"):
        gain("rely")
    with pytest.raises(ModelError, match=r"type torch\.int64 cannot be initialised"):
        INITS["gaussian"](torch.zeros(2, 2, dtype=torch.int64))
    with pytest.raises(ModelError, match=r"shape \(4, 0\) has no entries"):
        INITS["he_normal"](torch.empty(4, 0))


def test_the_mean_fan_lies_between():
    assert fan(torch.empty(6, 2, 3), "fan_avg") == np.mean([6, 18])


def test_the_global_generator_is_not_touched_where_one_is_given():
    before = torch.get_rng_state()

    for name in INITS:
        INITS[name](torch.empty(6, 4), generator=torch.Generator().manual_seed(0))

    assert torch.equal(before, torch.get_rng_state())
    assert set(DEVIATIONS) == set(INITS)
