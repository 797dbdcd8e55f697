"""Residual branches that start at zero."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tunesmith.blocks import models
from tunesmith.blocks.layers import initialise, zero_residual
from tunesmith.data.spec import Tokens
from tunesmith.records import ModelError, Recipe

X = torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(0))


class Bottleneck(nn.Module):
    """Shape: (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs, outputs, normed=True, inplace=False, act=None):
        super().__init__()
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.two = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm_one = nn.BatchNorm2d(outputs) if normed else nn.Identity()
        self.norm_two = nn.GroupNorm(2, outputs) if normed else nn.Identity()
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.inplace, self.act, self.dropout = inplace, act or nn.Identity(), nn.Dropout2d(0.5)

    def forward(self, x):
        y = self.dropout(self.act(self.norm_two(self.two(F.relu(self.norm_one(self.one(x)))))))
        if self.inplace:
            y += self.skip(x)
            return F.relu_(y)
        return F.relu(self.skip(x) + y)


def out_of(model, x=X):
    return model.eval()(x)


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("way", ["batch", "torch.fx"])
def test_the_last_norm_of_each_branch_is_zero_and_blocks_are_their_skips(inplace, way):
    model = nn.Sequential(Bottleneck(6, 6, inplace=inplace), Bottleneck(6, 8, inplace=inplace))

    zeroed = zero_residual(model, X if way == "batch" else None)

    assert zeroed == ["0.norm_two", "1.norm_two"]
    torch.testing.assert_close(out_of(model), F.relu(model[1].skip(F.relu(X))))
    assert model[0].norm_one.weight.unique().item() == 1


def test_without_a_norm_the_last_weight_and_its_bias_are_zero():
    model = nn.Sequential(Bottleneck(6, 6, normed=False), Bottleneck(6, 6, normed=False))

    initialise(model, batch=X, zero_residual=True)

    torch.testing.assert_close(out_of(model), F.relu(X))
    assert model[0].one.weight.abs().max() > 0


def test_zeroed_branches_learn():
    model = nn.Sequential(Bottleneck(6, 6), Bottleneck(6, 8))
    zero_residual(model, X)

    model.train()(X).square().sum().backward()

    assert all(block.norm_two.weight.grad.abs().max() > 0 for block in model)


def test_a_branch_that_ends_in_relu_stays_for_it_would_never_learn():
    model = Bottleneck(6, 6, act=nn.ReLU())

    with pytest.raises(ModelError, match="1 end in something whose zero would pass no gradient"):
        zero_residual(model, X)


def test_a_branch_that_ends_in_tanh_may_be_zero():
    model = Bottleneck(6, 6, act=nn.Tanh())

    assert zero_residual(model, X) == ["norm_two"]


class Excited(nn.Module):
    """Squeeze and excitation: the branch ends in a gate made of itself."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.gate = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Linear(6, 6)

    def forward(self, x):
        y = self.norm(self.conv(x))
        scale = torch.sigmoid(self.gate(y.mean((2, 3))))[:, :, None, None]
        return x + y * scale


def test_a_gated_branch_ends_at_its_norm():
    model = Excited()

    assert zero_residual(model, X) == ["norm"]
    torch.testing.assert_close(out_of(model), X)


class Parallel(nn.Module):
    """Attention and MLP side by side, as in GPT-J, with a scale of the branch."""

    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.expand, self.contract = nn.Linear(8, 16), nn.Linear(16, 8)
        self.scale = nn.Parameter(torch.full((8,), 0.1))

    def forward(self, x):
        y = self.norm(x)
        return x + self.attention(y, y, y)[0] + self.scale * self.contract(F.gelu(self.expand(y)))


def test_attention_and_mlp_of_a_transformer():
    x = torch.randn(2, 5, 8)
    one, other = Parallel(), nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)

    assert zero_residual(one, x) == ["attention", "contract"]
    assert zero_residual(other, x) == ["self_attn", "linear2"]
    torch.testing.assert_close(out_of(one, x), x)
    torch.testing.assert_close(out_of(other, x), x)


def test_a_weight_under_weight_normalisation_keeps_its_direction():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))

        def forward(self, x):
            return x + self.one(x)

    model, x = Block(), torch.randn(3, 6)

    zero_residual(model, x)

    torch.testing.assert_close(model(x), x)
    model(x).sum().backward()
    assert torch.isfinite(model.one.parametrizations.weight.original0.grad).all()


class NoResidual(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.a, self.b, self.table, self.how = nn.Linear(6, 6), nn.Linear(6, 6), nn.Embedding(6, 6), how

    def forward(self, x):
        match self.how:
            case "two branches":
                return self.a(x) + torch.relu(self.b(x))
            case "highway":
                gate = torch.sigmoid(self.a(x))
                return gate * torch.tanh(self.b(x)) + (1 - gate) * x
            case "position":
                return self.a(x) + self.table(torch.arange(len(x)))
            case "recurrence":
                state = torch.zeros(len(x), 6)
                for _ in range(3):
                    state = torch.tanh(self.a(x) + self.b(state))
                return state
            case "recurrence of parts":
                state = torch.zeros(2, 6)
                for part in self.a(x).chunk(2):
                    state = torch.tanh(part + self.b(state))
                return state
            case "a constant":
                return self.a(x) + 1 + torch.ones_like(x)
            case _:
                return self.a(x)


@pytest.mark.parametrize(
    "how", ["two branches", "highway", "position", "recurrence", "recurrence of parts", "a constant", "nothing"]
)
def test_other_sums_are_no_residuals(how):
    model, x = NoResidual(how), torch.randn(4, 6)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    with pytest.raises(ModelError, match="no residual branch of the NoResidual can start at zero: none is there"):
        zero_residual(model, x)

    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_frozen_branches_are_left():
    model = Bottleneck(6, 6)
    model.requires_grad_(False)

    with pytest.raises(ModelError, match="or is frozen"):
        zero_residual(model, X)
    assert model.norm_two.weight.unique().item() == 1


def test_the_order_of_modules_shows_no_branches():
    class Stubborn(Bottleneck):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(ModelError, match="cannot be told from the order of the modules; give a batch"):
        zero_residual(Stubborn(6, 6))


def test_blocks_that_share_their_layers_start_as_their_skip():
    class Universal(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 6)

        def forward(self, x):
            for _ in range(3):
                x = x + self.two(torch.relu(self.one(x)))
            return x

    model, x = Universal(), torch.randn(4, 6)

    assert zero_residual(model, x) == ["two"]
    assert torch.equal(model(x), x)


def test_the_built_in_recurrent_net_has_no_branch():
    net = models.build("lstm", Recipe(), {"tokens": Tokens(50, 9)}, 3, "multiclass")

    with pytest.raises(ModelError, match="no residual branch of the LSTM can start at zero"):
        zero_residual(net, torch.randint(1, 50, (4, 9)))
