"""Which activation follows a layer, read from the model itself."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tunesmith.blocks import models
from tunesmith.blocks.layers import initialise, plan
from tunesmith.data.spec import Numbers
from tunesmith.records import ModelError, Recipe

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


def before(model, batch=None):
    return {row.layer: row.activation for row in plan(model, batch=batch)}


class Between(nn.Module):
    """One hidden layer, and what is called between it and the last."""

    def __init__(self, act):
        super().__init__()
        self.first, self.last, self.act = nn.Linear(6, 8), nn.Linear(8, 2), act

    def forward(self, x):
        return self.last(self.act(self.first(x)))


def hand_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))


CALLS = {
    "F.relu": (F.relu, "relu"),
    "torch.relu": (torch.relu, "relu"),
    "method": (lambda x: x.relu(), "relu"),
    "in place": (lambda x: F.relu(x, inplace=True), "relu"),
    "in place method": (lambda x: x.relu_(), "relu"),
    "clamp": (lambda x: x.clamp(min=0), "relu"),
    "clamp_min": (lambda x: torch.clamp_min(x, 0), "relu"),
    "maximum": (lambda x: torch.maximum(x, torch.zeros(1)), "relu"),
    "relu6 as clamp": (lambda x: torch.clamp(x, 0, 6), "relu6"),
    "hard tanh": (lambda x: x.clamp(-1, 1), "hard_tanh"),
    "leaky": (lambda x: F.leaky_relu(x, 0.2), "leaky_relu(0.2)"),
    "leaky by name": (lambda x: F.leaky_relu(x, negative_slope=0.3), "leaky_relu(0.3)"),
    "leaky, its default": (F.leaky_relu, "leaky_relu(0.01)"),
    "tanh": (torch.tanh, "tanh"),
    "sigmoid method": (lambda x: x.sigmoid(), "sigmoid"),
    "selu": (F.selu, "selu"),
    "silu": (F.silu, "silu"),
    "silu by hand": (lambda x: x * torch.sigmoid(x), "silu"),
    "silu with a factor": (lambda x: x * torch.sigmoid(1.702 * x), "silu"),
    "gelu by hand": (hand_gelu, "gelu"),
    "gelu by erf": (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), "gelu"),
    "norm, dropout, reshape": (lambda x: F.relu(F.dropout(F.layer_norm(x, (8,)).view(-1, 2, 4)).flatten(1)), "relu"),
    "scaled": (lambda x: torch.tanh(0.5 * x + 1), "tanh"),
    "nothing": (lambda x: x.contiguous(), "identity"),
    "a gate of another part": (lambda x: (x[:, :4] * torch.sigmoid(x[:, 4:])).repeat(1, 2), "sigmoid"),
    "a comparison beside it": (lambda x: torch.tanh(x) * (x > 0), "tanh"),
}


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.parametrize("way", ["batch", "torch.fx"])
def test_functional_activations_are_seen(case, way):
    call, expected = CALLS[case]
    model = Between(call)
    if way == "torch.fx" and case == "maximum":
        pytest.skip("a tensor made inside is no constant to torch.fx")

    rows = plan(model, batch=X if way == "batch" else None)

    assert [(row.layer, row.activation) for row in rows] == [("first", expected), ("last", "identity")]
    assert {row.source for row in rows} == {"traced" if way == "batch" else "torch.fx"}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.LeakyReLU(0.2), "leaky_relu(0.2)"),
        (nn.PReLU(), "prelu(0.25)"),
        (nn.Hardswish(), "hard_swish"),
        (nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(), nn.ELU()), "elu"),
        (nn.Softsign(), "softsign"),
        (nn.Identity(), "identity"),
    ],
)
@pytest.mark.parametrize("batch", [X, None])
def test_activation_modules_are_seen(module, expected, batch):
    assert before(Between(module), batch)["first"] == expected


def test_the_slope_of_the_module_is_in_the_law():
    model = nn.Sequential(nn.Linear(400, 300), nn.LeakyReLU(0.5), nn.Linear(300, 2))
    torch.manual_seed(0)

    initialise(model, batch=torch.randn(2, 400))

    five_errors = 5 / math.sqrt(2 * 400 * 300)
    assert model[0].weight.std().item() == pytest.approx(math.sqrt(2 / (1.25 * 400)), rel=five_errors)


class Branches(nn.Module):
    """Two inputs, a branch of each, a sum, and an activation behind it."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(6, 8), nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x, z):
        return self.d(F.selu(self.c(torch.tanh(self.a(x) + self.b(z)))))


@pytest.mark.parametrize(
    "batch",
    [(X, torch.ones(5, 3)), [X, torch.ones(5, 3)], {"z": torch.ones(5, 3), "x": X}, (X.numpy(), torch.ones(5, 3))],
)
def test_several_inputs_and_sums(batch):
    assert before(Branches(), batch) == {"a": "tanh", "b": "tanh", "c": "selu", "d": "identity"}


def test_a_dict_may_be_one_argument():
    class OfDict(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Between(torch.tanh)

        def forward(self, inputs):
            return {"logits": self.net(inputs["x"])}

    assert before(OfDict(), {"x": X}) == {"net.first": "tanh", "net.last": "identity"}


def test_a_residual_net_goes_by_what_is_behind_the_sum():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.norm = (
                nn.Conv2d(4, 4, 3, padding=1),
                nn.Conv2d(4, 4, 3, padding=1),
                nn.BatchNorm2d(4),
            )

        def forward(self, x):
            return F.relu(x + self.norm(self.two(torch.tanh(self.one(x)))))

    model = nn.Sequential(Block(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    assert before(model, torch.randn(2, 4, 5, 5)) == {
        **{f"{block}.{layer}": act for block in (0, 1) for layer, act in (("one", "tanh"), ("two", "relu"))},
        "4": "identity",
    }


def test_queries_and_keys_are_before_attention():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 6)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, -1)
            return self.out((q @ k.mT / 6**0.5).softmax(-1) @ v)

    rows = {row.layer: row for row in plan(Attention(), batch=torch.randn(2, 4, 6))}

    assert (rows["qkv"].activation, rows["qkv"].rule) == ("attention", "xavier_uniform")
    assert rows["out"].activation == "identity"


def test_a_shared_layer_goes_by_its_first_call_and_a_tied_weight_is_set_once():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.same, self.out = nn.Embedding(9, 8), nn.Linear(8, 8), nn.Linear(8, 9)
            self.out.weight = self.table.weight

        def forward(self, ids):
            return self.out(torch.tanh(self.same(torch.relu(self.same(self.table(ids))))))

    model = Shared()
    torch.manual_seed(0)
    rows = {row.layer: row for row in plan(model, batch=torch.arange(4))}
    initialise(model, batch=torch.arange(4))

    assert rows["same"].activation == "relu"
    assert (rows["out"].rule, rows["out"].note) == ("left as it is", "shared, set already")
    assert model.out.weight.abs().max() <= 0.04  # as an embedding: cut at two deviations of 0.02
    assert model.out.bias.abs().max() == 0


def test_frozen_layers_are_left_and_told():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    kept = copy.deepcopy(model[0].state_dict())
    told = []

    initialise(model, batch=X, report=told.append)

    assert all(torch.equal(kept[name], value) for name, value in model[0].state_dict().items())
    assert "frozen" in told[0]
    assert "traced" in told[0]


def test_lazy_layers_are_refused():
    with pytest.raises(ModelError, match="the layer 0 is lazy and has no shape yet; send one batch"):
        initialise(nn.Sequential(nn.LazyLinear(3)), batch=X)


def test_a_batch_that_does_not_fit_is_told():
    with pytest.raises(ModelError, match="the model does not take this batch: RuntimeError: mat1 and mat2"):
        plan(nn.Linear(3, 2), batch=X)


def test_where_torch_fx_fails_the_order_of_modules_is_told():
    class Stubborn(Between):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else super().forward(-x)

    rows = plan(nn.Sequential(Stubborn(nn.Tanh()), Stubborn(torch.tanh)))

    assert "torch.fx cannot follow the model" in str(rows)
    sources = [(row.layer, row.activation, row.source) for row in rows]
    assert sources[0] == ("0.first", "tanh", "order of the modules")
    with_batch = plan(Stubborn(torch.tanh), batch=X)
    assert [row.activation for row in with_batch] == ["tanh", "identity"]


def test_without_any_activation_module_relu_is_assumed_and_said():
    class Stubborn(Between):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    rows = plan(Stubborn(torch.tanh))

    assert [(row.activation, row.source) for row in rows] == [
        ("relu", "assumed"),
        ("identity", "order of the modules"),
    ]


class Restless(nn.Module):
    """Draws, counts, keeps running statistics and holds hooks."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.register_buffer("seen", torch.zeros(1))
        self.calls, self.noise = 0, None
        self.first.register_forward_hook(lambda module, args, output: output * 1.0)

    def forward(self, x):
        self.calls += 1
        self.noise = torch.randn(3)
        self.seen += 1
        return self.last(F.relu(self.norm(F.dropout(self.first(x)))))


def everything(model):
    hooks = [list(getattr(m, name)) for m in model.modules() for name in ("_forward_hooks", "_forward_pre_hooks")]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    return state, [m.training for m in model.modules()], hooks, grads, (model.calls, model.noise), torch.get_rng_state()


@pytest.mark.parametrize("training", [True, False])
def test_tracing_leaves_no_trace(training):
    model = Restless().train(training)
    model.last.eval()
    model(X).sum().backward()
    one = everything(model)

    plan(model, batch=X)

    other = everything(model)
    for mine, yours in zip((*one[0].values(), one[5], *one[3]), (*other[0].values(), other[5], *other[3]), strict=True):
        assert torch.equal(mine, yours)
    assert one[1:3] == other[1:3]
    assert one[4][0] == other[4][0]
    assert one[4][1] is other[4][1]


@pytest.mark.parametrize("name", ["mlp"])
def test_built_in_nets_are_read_as_they_are(name):
    spec = {"numbers": Numbers(4, ("a", "b", "c", "d"))}
    recipe = Recipe(model={"residual": False, "activation": "tanh", "depth": 2, "norm": "none"})
    net = models.build(name, recipe, spec, 3, "multiclass")

    found = before(net, torch.randn(3, 4))

    assert list(found.values()) == ["tanh", "tanh", "identity"]


def test_norms_are_reset_on_request_only():
    model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU())
    nn.init.constant_(model[1].weight, 0.5)
    nn.init.constant_(model[1].bias, 0.5)

    kept = initialise(model)[1].weight.clone()
    reset = initialise(model, norms="reset")[1]

    assert kept.unique().item() == 0.5
    assert (reset.weight.unique().item(), reset.bias.unique().item()) == (1.0, 0.0)


def test_embeddings_by_another_law():
    table = nn.Embedding(4000, 8, padding_idx=3)

    initialise(table, embeddings="uniform")

    assert 0.0499 < table.weight.abs().max() <= 0.05
    assert table.weight[3].abs().max() == 0
    before = table.weight.detach().clone()
    assert torch.equal(initialise(table, embeddings="default").weight, before)


@pytest.mark.parametrize("wrap", ["parametrization", "hook", "spectral"])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_a_weight_behind_a_parametrization_is_set(wrap):
    torch.manual_seed(0)
    layer = nn.Linear(300, 200)
    if wrap == "parametrization":
        nn.utils.parametrizations.weight_norm(layer)
    elif wrap == "hook":
        layer = nn.utils.weight_norm(layer)
    else:
        layer = nn.utils.spectral_norm(layer)

    initialise(nn.Sequential(layer, nn.ReLU()), batch=torch.randn(2, 300))

    used = layer.weight_orig if wrap == "spectral" else layer.weight
    if wrap == "hook":
        layer(torch.randn(1, 300))  # its pre-hook makes the weight anew
    assert used.std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)


def test_the_plan_draws_nothing_and_is_a_table():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    state = torch.get_rng_state()
    weights = copy.deepcopy(model.state_dict())

    text = str(plan(model, batch=X))

    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert text.splitlines()[0].split() == ["layer", "n_in", "n_out", "before", "rule", "std", "known", "from"]
    assert text.splitlines()[1].split() == ["0", "6", "8", "tanh", "xavier_uniform", "0.378", "traced"]


def test_half_precision_models_are_traced_and_filled():
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 2)).to(torch.bfloat16)

    initialise(model, batch=torch.randn(2, 64, dtype=torch.bfloat16))

    assert model[0].weight.dtype == torch.bfloat16
    assert model[0].weight.float().std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.06)


def test_a_compiled_model_is_read_through_its_wrapper():
    model = torch.compile(Between(torch.tanh), backend="eager")

    assert initialise(model, batch=X) is model
    assert before(model, X) == {"first": "tanh", "last": "identity"}


def test_packed_sequences_and_recurrent_nets():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.GRU(6, 5), nn.Linear(5, 2)

        def forward(self, packed):
            _, last = self.rnn(packed)
            return self.out(last[0])

    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 6), torch.randn(2, 6)])

    rows = plan(Recurrent(), batch=(packed,))

    assert [(row.layer, row.rule) for row in rows] == [
        ("rnn", "xavier_uniform, orthogonal"),
        ("out", "lecun_normal"),
    ]
