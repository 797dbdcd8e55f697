"""Each norm is invariant to what it claims, and to nothing else."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tunesmith.blocks.layers import (
    NORMS,
    data_scale_invariance,
    invariances,
    norm,
    shift_invariance,
    weight_scale_invariance,
)
from tunesmith.blocks.layers.norm import INVARIANCES, kind_of
from tunesmith.records import ModelError

FACTORS = st.one_of(st.floats(0.2, 0.6), st.floats(1.6, 5.0))  # one near 1 would tell nothing
OPEN = {"rmax": 100.0, "dmax": 100.0, "plain_updates": 0, "rmax_at": 0, "dmax_at": 0}
FORMS = [(name, {}) for name in NORMS] + [("batch_renorm", OPEN), ("cosine", {"centred": True})]


def subject(name: str, seed: int, options: dict) -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    """(layer and norm, what the data are scaled before, an input of the first, an input of the second)."""
    torch.manual_seed(seed)
    layer = nn.Conv1d(5, 8, 2, bias=False)
    x = torch.randn(6, 5, 9, dtype=torch.float64) + 0.5
    if kind_of(name) == "weights":
        whole = NORMS[name](layer, **options).double()
        return whole, whole, x, x
    small = (
        {"eps": 1e-12}
        if name in ("batch", "batch_renorm", "frn", "group", "instance", "layer", "rms", "sync_batch")
        else {}
    )
    layer_of = norm(name, 8, dims=1, **small, **options)
    for parameter in layer_of.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return (
        nn.Sequential(layer, layer_of).double(),
        layer_of.double(),
        x,
        torch.randn(6, 8, 7, dtype=torch.float64) + 0.5,
    )


def measured(of: str, name: str, options: dict, seed: int, factor: float):
    whole, alone, x, features = subject(name, seed, options)
    if of in ("weight_scale", "neuron_scale"):
        return weight_scale_invariance(whole, x, factor=factor, per_neuron=of == "neuron_scale")
    if of in ("batch_scale", "sample_scale"):
        return data_scale_invariance(alone, features, factor=factor, per_sample=of == "sample_scale")
    return shift_invariance(alone, features, by=factor, per_neuron=of == "neuron_shift")


def claimed(name: str, options: dict) -> frozenset[str]:
    whole, alone, _, _ = subject(name, 0, options)
    return NORMS[name].invariant_to if name == "none" else invariances(whole if kind_of(name) == "weights" else alone)


@pytest.mark.parametrize("of", INVARIANCES)
@pytest.mark.parametrize(
    ("name", "options"), FORMS, ids=[f"{name}{' set' if options else ''}" for name, options in FORMS]
)
@given(seed=st.integers(0, 1000), factor=FACTORS)
@settings(max_examples=8, deadline=None)
def test_invariances_claimed_and_no_others(name, options, of, seed, factor):
    found = measured(of, name, options, seed, factor)

    assert found.of == of
    assert found.holds == (of in claimed(name, options)), str(found)
    if of == "weight_scale" and found.holds:
        assert found.deviation < 1e-6
        assert found.gradient_ratio == pytest.approx(1.0, rel=1e-5)  # the gradient scales by 1 / λ


@pytest.mark.parametrize("name", ["batch", "group", "instance", "layer"])
def test_the_claim_of_torchs_own_layer_is_that_of_the_member(name):
    layers = {
        "batch": nn.BatchNorm2d(8),
        "group": nn.GroupNorm(2, 8),
        "instance": nn.InstanceNorm2d(8),
        "layer": nn.LayerNorm(8),
    }

    assert invariances(layers[name]) == NORMS[name].invariant_to == invariances(name)


def test_a_bias_before_the_norm_breaks_the_scale_invariance_of_layer_norm():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
    x = torch.randn(16, 4)

    found = weight_scale_invariance(net, x)

    assert not found.holds  # LN(λ W x + b) is not LN(W x + b)


def test_a_bias_before_batch_norm_is_dead_and_its_backward_sums_to_zero():
    x = torch.randn(16, 4, dtype=torch.float64)
    linear, layer = nn.Linear(4, 8).double(), norm("batch", 8, eps=1e-12).double()
    hidden = linear(x)
    hidden.retain_grad()

    y = layer(hidden)
    (y**3).sum().backward()

    standard = (y.detach() - layer.bias) / layer.weight
    assert linear.bias.grad.abs().max() < 1e-9
    assert hidden.grad.sum(0).abs().max() < 1e-9
    assert (hidden.grad * standard).sum(0).abs().max() < 1e-8  # ε keeps it from 0 exactly


def test_the_gradient_of_v_is_orthogonal_to_v_and_plain_sgd_never_shortens_it():
    torch.manual_seed(0)
    layer = NORMS["weight"](nn.Linear(5, 3).double())
    v = layer.parametrizations.weight.original1
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    lengths = [v.detach().norm(dim=1)]
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.randn(8, 5, dtype=torch.float64)).square().sum().backward()
        assert (v.grad * v).sum(1).abs().max() < 1e-10 * v.grad.abs().max()
        optimizer.step()
        lengths.append(v.detach().norm(dim=1))

    assert all((after >= before).all() for before, after in pairwise(lengths))


def test_cosines_are_bounded_and_zero_vectors_give_zero_without_gradient():
    layer = NORMS["cosine"](nn.Linear(4, 3))
    x = torch.cat([torch.randn(5, 4) * 1e3, torch.zeros(1, 4)]).requires_grad_()

    y = layer(x)
    y.sum().backward()

    assert y.abs().max() <= 1 + 1e-6
    assert torch.equal(y[-1], torch.zeros(3))
    assert torch.equal(x.grad[-1], torch.zeros(4))
    assert torch.isfinite(x.grad).all()


def test_a_cosine_convolution_is_cosine_similarity_of_each_patch():
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False).double()
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64) + 50
    patches = nn.functional.unfold(nn.functional.pad(x, (1, 1, 1, 1)), 3, stride=2).reshape(
        2, 2, 18, -1
    )  # (N, G, values, L)
    filters = plain.weight.detach().reshape(2, 3, 18)

    for centred in (False, True):
        p = patches - patches.mean(2, keepdim=True) if centred else patches
        w = filters - filters.mean(2, keepdim=True) if centred else filters
        expected = torch.cosine_similarity(p[:, :, None], w[None, :, :, :, None], dim=3)
        found = NORMS["cosine"](plain, centred=centred)(x)
        torch.testing.assert_close(found.flatten(2), expected.reshape(2, 6, -1))


def test_batch_renorm_opens_its_limits_by_updates():
    layer = norm("batch_renorm", 3)
    limits = {}
    for made in (0, 4_999, 5_000, 15_000, 25_000, 40_000, 10**6):
        layer.num_batches_tracked.fill_(made)
        limits[made] = tuple(float(limit) for limit in layer.limits_now())

    assert limits[0] == limits[4_999] == limits[5_000] == (1.0, 0.0)
    assert limits[15_000] == pytest.approx((1 + 2 * 10 / 35, 2.5))
    assert limits[25_000] == pytest.approx((1 + 2 * 20 / 35, 5.0))
    assert limits[40_000] == limits[10**6] == (3.0, 5.0)


def test_wide_limits_make_training_compute_what_evaluation_does():
    layer = norm("batch_renorm", 4, **OPEN).double()
    layer.running_mean.fill_(0.3)
    layer.running_std.fill_(1.7)
    evaluating = norm("batch_renorm", 4, **OPEN).double().eval()
    evaluating.load_state_dict(layer.state_dict())
    x = torch.randn(8, 4, dtype=torch.float64)

    torch.testing.assert_close(layer(x), evaluating(x))


def test_a_negative_scale_and_a_model_without_weights_are_refused():
    with pytest.raises(ModelError, match="above 0"):
        data_scale_invariance(nn.BatchNorm1d(2), torch.randn(3, 2), factor=-1.0)
    with pytest.raises(ModelError, match="no layer with a weight matrix"):
        weight_scale_invariance(nn.BatchNorm1d(2), torch.randn(3, 2))
    with pytest.raises(ModelError, match="is no norm layer"):
        invariances(nn.ReLU())
