import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import groups
from tunesmith.blocks.optim.proximal import L1, soft_threshold
from tunesmith.records import RecipeError


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_threshold_is_that_of_the_proximal_operator(dtype):
    weight = torch.tensor([[2.0, -2.0, 0.5], [-0.5, 1.0, 0.0]], dtype=dtype).T  # not contiguous
    expected = weight.sign() * (weight.abs() - 1).clamp(min=0)

    soft_threshold([weight], 1.0)

    assert torch.equal(weight, expected)


def test_the_proximal_gradient_method_finds_the_lasso():
    """Orthonormal inputs: the lasso is the soft threshold of the least squares. Tibshirani (1996), eq. 3."""
    torch.manual_seed(0)
    q = torch.linalg.qr(torch.randn(20, 5, dtype=torch.float64)).Q
    truth = torch.tensor([3.0, -2.0, 0.05, 0.0, 1.0], dtype=torch.float64)
    target = q @ truth
    model = nn.Linear(5, 1, bias=False).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    shrink = L1(model, optimizer, 0.4)

    for _ in range(200):
        optimizer.zero_grad()
        (0.5 * (q @ model.weight.squeeze() - target).square().sum()).backward()
        optimizer.step()
        shrink()

    assert torch.allclose(model.weight.squeeze(), torch.tensor([2.6, -1.6, 0.0, 0.0, 0.6], dtype=torch.float64))
    assert (model.weight.squeeze()[2:4] == 0).all()


def net():
    return nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def shrunk(only=(), lr=1.0, **changes):
    model = net()
    optimizer = torch.optim.SGD(groups(model, 0.0, lr=lr, **changes), lr=lr)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    L1(model, optimizer, 0.01, only)()
    return {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}, model, before


def test_weights_of_layers_are_shrunk_or_what_the_patterns_name():
    assert shrunk()[0] == {"1.weight", "3.weight"}
    assert shrunk(["0.*", "re:bias"])[0] == {"0.weight", "1.bias", "3.bias"}


def test_each_group_shrinks_by_its_own_rate():
    _, model, before = shrunk(rates={"3.*": 10.0}, lr=0.1)

    for name, amount in (("1.weight", 0.001), ("3.weight", 0.01)):
        now = dict(model.named_parameters())[name]
        assert torch.allclose(now, before[name].sign() * (before[name].abs() - amount).clamp(min=0))


def test_parameters_without_a_gradient_stay_and_nothing_to_shrink_is_said():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model[1].weight.detach().clone()

    L1(model, optimizer, 0.1)()

    assert torch.equal(model[1].weight, before)
    with pytest.raises(RecipeError, match="nothing to shrink"):
        L1(nn.LayerNorm(4), torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1), 0.1)
    with pytest.raises(RecipeError, match=r"optim\.l1_only: 'nil' matches no"):
        L1(model, optimizer, 0.1, ["nil"])
