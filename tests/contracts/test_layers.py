"""What every member of the layer catalogues keeps."""

import copy
import inspect

import pytest
import torch
from torch.func import functional_call, stack_module_state

from tunesmith.blocks.layers import ACTIVATIONS, INITS, NORMS, POOLINGS, initialise, norm
from tunesmith.blocks.layers.init import DEVIATIONS
from tunesmith.blocks.layers.init.filling import fill_weight
from tunesmith.blocks.layers.norm import INVARIANCES, kind_of
from tunesmith.records import ModelError

SPATIAL = {0: (), 1: (5,), 2: (4, 3), 3: (2, 3, 2)}
REFUSED = {("instance", 0)}  # a norm may refuse vectors, with a way out
OF_FEATURES = [name for name in NORMS if kind_of(name) == "features"]
OF_WEIGHTS = [name for name in NORMS if kind_of(name) == "weights"]
MEMBERS = [(catalog.kind, name, catalog[name]) for catalog in (NORMS, ACTIVATIONS, INITS, POOLINGS) for name in catalog]


def normal(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def a_norm(name: str, dims: int) -> torch.nn.Module:
    if (name, dims) in REFUSED:
        pytest.skip("refused")
    return NORMS[name](8, dims=dims)


def one_by_one_and_together(build, x):
    """Outputs of three models on three inputs, by a loop and by vmap over stacked parameters and buffers."""
    models = [build().double() for _ in range(3)]
    parameters, buffers = stack_module_state(models)

    def one(parameters, buffers, x):
        return functional_call(models[0], (parameters, buffers), (x,))

    together = torch.vmap(one)(parameters, buffers, x)
    return torch.stack([model(part) for model, part in zip(models, x, strict=True)]), together


@pytest.mark.parametrize(("kind", "name", "member"), MEMBERS)
def test_the_docstring_has_formula_shape_and_source(kind, name, member):
    text = inspect.getdoc(member) or ""

    assert "Shape:" in text
    assert "Source:" in text
    assert any(sign in text.splitlines()[0] for sign in ("=", "~")), f"{kind} {name}: the first line is the formula"


@pytest.mark.parametrize(("name", "dims"), REFUSED)
def test_a_refusal_says_what_to_try(name, dims):
    with pytest.raises(ModelError, match="try"):
        NORMS[name](8, dims=dims)


LAYERS = {  # what a norm of weights can wrap, with a shape that it takes
    "linear": (lambda: torch.nn.Linear(6, 8), (5, 6)),
    "linear on sequences": (lambda: torch.nn.Linear(6, 8), (2, 5, 6)),
    "conv1d": (lambda: torch.nn.Conv1d(6, 8, 3, dilation=2), (2, 6, 9)),
    "conv2d": (lambda: torch.nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2), (2, 6, 7, 5)),
    "conv2d, one position": (lambda: torch.nn.Conv2d(6, 8, 1), (2, 6, 4, 3)),
    "conv3d": (lambda: torch.nn.Conv3d(6, 8, 2, padding="same", padding_mode="circular"), (2, 6, 3, 4, 3)),
}
NORMED = [(name, dims) for name in OF_FEATURES for dims in SPATIAL if (name, dims) not in REFUSED]


def a_layer(name: str, dims: int | str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A member and an input: a norm of features over `dims`, or a layer whose weights are normed."""
    torch.manual_seed(0)
    if isinstance(dims, str):
        make, shape = LAYERS[dims]
        return NORMS[name](make()).double(), normal(*shape)
    layer = NORMS[name](8, dims=dims).double()
    for parameter in layer.parameters():  # none at the value it starts with
        torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return layer, normal(6, 8, *SPATIAL[dims])


ALL = NORMED + [(name, kind) for name in OF_WEIGHTS for kind in LAYERS]
every_norm = pytest.mark.parametrize(("name", "dims"), ALL)
each_norm = pytest.mark.parametrize(("name", "dims"), [one for one in ALL if one[1] in (2, "conv2d")])


@pytest.mark.parametrize("dims", SPATIAL)
@pytest.mark.parametrize("name", OF_FEATURES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_norm_keeps_shape_and_type_and_passes_gradients(name, dims, dtype):
    layer = a_norm(name, dims).to(dtype)
    x = normal(6, 8, *SPATIAL[dims], dtype=torch.float64).to(dtype).requires_grad_()

    y = layer(x)
    (y * normal(*y.shape).flip(0).to(dtype)).sum().backward()

    assert y.shape == x.shape
    assert y.dtype == dtype
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_says_what_it_acts_on_and_what_leaves_it_unchanged(name):
    member = NORMS[name]

    assert member.kind in ("features", "weights")
    assert member.invariant_to <= set(INVARIANCES)
    assert "Use:" in inspect.getdoc(member)


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_a_norm_of_weights_is_no_layer_of_features(name):
    with pytest.raises(ModelError, match="wrap the layer"):
        norm(name, 8)
    with pytest.raises(ModelError, match=r"wraps an nn\.Linear or a convolution"):
        NORMS[name](torch.nn.ReLU())
    with pytest.raises(ModelError, match="normed already"):
        NORMS[name](NORMS["weight"](torch.nn.Linear(2, 2)))
    with pytest.raises(ModelError, match="not known yet"):
        NORMS[name](torch.nn.LazyLinear(3))


@every_norm
def test_gradients_are_those_of_finite_differences(name, dims):
    layer, x = a_layer(name, dims)
    parameters = {key: value.detach().clone().requires_grad_() for key, value in layer.named_parameters()}
    buffers = dict(layer.named_buffers())

    def outputs(x, *values):
        fresh = {key: value.clone() for key, value in buffers.items()}
        return functional_call(layer, (dict(zip(parameters, values, strict=True)), fresh), (x,))

    few = (x[:3].clone().requires_grad_(), *parameters.values())
    assert torch.autograd.gradcheck(outputs, few, fast_mode=True)
    assert torch.autograd.gradgradcheck(outputs, few, fast_mode=True)


@every_norm
def test_a_state_dict_goes_there_and_back(name, dims):
    layer, x = a_layer(name, dims)
    layer(x)  # moves averages
    other, _ = a_layer(name, dims)
    for parameter in other.parameters():
        torch.nn.init.ones_(parameter)

    other.load_state_dict(layer.state_dict())

    assert torch.equal(other.eval()(x), layer.eval()(x))
    assert list(other.state_dict()) == list(layer.state_dict())


@each_norm
def test_a_compiled_norm_computes_the_same(name, dims):
    layer, x = a_layer(name, dims)
    x.requires_grad_()
    again = copy.deepcopy(layer)
    torch.compiler.reset()

    found = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    expected = again(x)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), x), torch.autograd.grad(expected.sum(), x))


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script:DeprecationWarning"
)  # torch's compiler imports its own old parts
@each_norm
def test_a_norm_compiled_to_machine_code_computes_the_same(name, dims):
    layer, x = a_layer(name, dims)
    x.requires_grad_()
    again = copy.deepcopy(layer)
    torch.compiler.reset()

    found = torch.compile(layer, fullgraph=True)(x)
    expected = again(x)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), x), torch.autograd.grad(expected.sum(), x))


@pytest.mark.parametrize("training", [True, False])
@every_norm
def test_a_norm_under_vmap_equals_a_loop(name, dims, training):
    _, x = a_layer(name, dims)

    alone, together = one_by_one_and_together(
        lambda: torch.nn.Sequential(a_layer(name, dims)[0]).train(training), torch.stack([x, 2 * x, x.flip(0)])
    )

    torch.testing.assert_close(alone, together)


@every_norm
def test_training_and_evaluation_agree_where_it_is_said_and_only_there(name, dims):
    layer, x = a_layer(name, dims)

    same = torch.equal(layer(x), copy.deepcopy(layer).eval()(x))

    assert same == NORMS[name].same_in_evaluation


@every_norm
def test_memory_order_changes_nothing(name, dims):
    layer, x = a_layer(name, dims)
    expected = copy.deepcopy(layer)(x)
    order = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    ordered = x.mT.contiguous().mT if order is None else x.contiguous(memory_format=order)

    found = layer(ordered)

    torch.testing.assert_close(found, expected)
    wide = normal(*(2 * size for size in x.shape))[tuple(slice(None, None, 2) for _ in x.shape)]
    torch.testing.assert_close(copy.deepcopy(layer)(wide), layer(wide.contiguous()))


@pytest.mark.parametrize(("name", "dims"), NORMED)
def test_no_samples_or_no_positions_give_nothing_and_spoil_nothing(name, dims):
    layer, x = a_layer(name, dims)
    before = {key: value.clone() for key, value in layer.named_buffers() if value.is_floating_point()}

    for given in (x[:0], x[..., :0] if dims else x[:0]):
        y = layer(given.requires_grad_())
        y.sum().backward()

        assert y.shape == given.shape
        assert y.dtype == x.dtype
    after = dict(layer.named_buffers())
    assert all(torch.isfinite(after[key]).all() for key in before)


@pytest.mark.parametrize(("name", "dims"), NORMED)
def test_one_sample_is_normed_or_refused(name, dims):
    layer, x = a_layer(name, dims)
    of_batch = not NORMS[name].same_in_evaluation

    if of_batch and dims == 0:
        with pytest.raises(ValueError, match="value per channel"):
            layer(x[:1])
    else:
        assert torch.isfinite(layer(x[:1])).all()
    assert torch.isfinite(layer.eval()(x[:1])).all()


@pytest.mark.parametrize(
    ("name", "dims"), [(name, dims) for name, dims in NORMED if NORMS[name].invariant_to & {"shift"}]
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_constant_input_gives_the_bias_exactly(name, dims, dtype):
    layer, x = a_layer(name, dims)
    layer.to(dtype)

    y = layer(torch.full_like(x, 3.25, dtype=dtype))

    bias = layer.bias.reshape(1, -1, *(1,) * dims).expand_as(y)
    if name != "batch_mean_only":  # torch's kernels: β + a x - a μ, a = γ / √ε
        rounding = 2 * torch.finfo(dtype).eps * 3.25 * 1.5 / 1e-5**0.5
        torch.testing.assert_close(y, bias, rtol=0, atol=rounding)
    else:
        assert torch.equal(y, bias)


@pytest.mark.parametrize("name", [name for name in OF_FEATURES if name != "none"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_statistics_of_half_precision_are_taken_in_single(name, dtype):
    x = (normal(16, 8, 40, dtype=torch.float32) * 30 + 300).to(dtype)  # squares overflow float16
    layer = NORMS[name](8, dims=1).to(dtype)

    y = layer(x)

    exact = NORMS[name](8, dims=1)(x.float())
    torch.testing.assert_close(y.float(), exact, rtol=2 * torch.finfo(dtype).eps, atol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize(("name", "dims"), [(name, dims) for name, dims in NORMED if dims])
def test_channels_may_stand_last(name, dims):
    layer, x = a_layer(name, dims)
    last = norm(name, 8, dims=dims, layout="last").double()
    last.load_state_dict({key: layer.state_dict()[key.removeprefix("norm.")] for key in last.state_dict()})

    found = last(x.movedim(1, -1))

    torch.testing.assert_close(found.movedim(-1, 1), layer(x))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_activation_keeps_shape_and_type_and_its_input(name, dtype):
    x = normal(4, 3, 2, dtype=dtype)
    before = x.clone()

    y = ACTIVATIONS[name]()(x)

    assert (y.shape, y.dtype) == (x.shape, dtype)
    assert torch.equal(x, before)
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_under_vmap_equals_a_loop(name):
    alone, together = one_by_one_and_together(ACTIVATIONS[name], normal(3, 4, 5))

    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gradient_of_an_activation_is_that_of_finite_differences(name):
    x = normal(3, 7).mul(2)
    x = torch.where(x.abs() < 0.05, 0.05, x).requires_grad_()  # none at a kink

    assert torch.autograd.gradcheck(ACTIVATIONS[name](), (x,))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_an_activation_computes_the_same_compiled(name, backend):
    torch.compiler.reset()  # or the frames compiled before count against its limit
    x = normal(4, 5)

    found = torch.compile(ACTIVATIONS[name](), backend=backend, fullgraph=True)(x)

    torch.testing.assert_close(found, ACTIVATIONS[name]()(x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_the_same_in_evaluation_and_keeps_nothing(name):
    layer, x = ACTIVATIONS[name](), normal(4, 5)

    assert torch.equal(layer.train()(x), layer.eval()(x))
    assert dict(layer.state_dict()) == {}


NOTHING_DRAWN = {"identity"}
TWINS = [("he_normal", "he_uniform"), ("xavier_normal", "xavier_uniform"), ("lecun_normal", "lecun_uniform")]


def drawn_init(name: str, shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(seed)
    weight = torch.full(shape, torch.nan, dtype=dtype)
    INITS[name](weight)
    return weight


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (8, 4, 3), (8, 1, 3, 3), (1, 1), (2, 3, 2, 2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", INITS)
def test_an_initialiser_fills_all_from_the_global_generator(name, shape, dtype):
    weight = drawn_init(name, shape, 0, dtype)

    assert weight.dtype == dtype
    assert torch.isfinite(weight).all()
    assert torch.equal(weight, drawn_init(name, shape, 0, dtype))
    if name not in NOTHING_DRAWN and weight.numel() > 1:  # an orthogonal 1 x 1 has two values only
        assert any(not torch.equal(weight, drawn_init(name, shape, seed, dtype)) for seed in range(1, 6))


@pytest.mark.parametrize("name", INITS)
def test_an_initialiser_draws_from_a_generator_alone_as_from_the_global_one(name):
    weight = torch.empty(6, 5)

    INITS[name](weight, generator=torch.Generator().manual_seed(4))

    assert torch.equal(weight, drawn_init(name, (6, 5), 4))


@pytest.mark.parametrize("name", INITS)
def test_an_initialiser_fills_views_and_parameters_in_place(name):
    whole = torch.zeros(6, 10, dtype=torch.float64)
    layer = torch.nn.Conv2d(4, 6, 3)

    INITS[name](whole[:, ::2].T.T)
    INITS[name](layer.weight)

    assert (whole[:, 1::2] == 0).all()
    assert (whole[:, ::2] != 0).any()
    assert layer.weight.is_leaf
    assert layer.weight.requires_grad


@pytest.mark.parametrize("shape", [(200, 120), (40, 200, 3), (90, 30, 3, 3)])
@pytest.mark.parametrize("name", INITS)
def test_the_variance_of_an_initialiser_is_that_of_its_law(name, shape):
    weights = torch.stack([drawn_init(name, shape, seed, torch.float64) for seed in range(4)])

    expected = DEVIATIONS[name](weights[0])
    # five errors of a sample variance, whose own is sqrt((kurtosis - 1) / n); the mean of every law is 0, but identity's
    kurtosis = (weights**4).mean() / (weights**2).mean() ** 2
    error = 5 * ((kurtosis - 1) / weights.numel()).sqrt().item() + 1e-9
    spread = weights.var(unbiased=False).item() if name in NOTHING_DRAWN else weights.square().mean().item()
    assert spread == pytest.approx(expected**2, rel=error)


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("kind", [torch.nn.Conv2d, torch.nn.ConvTranspose2d])
@pytest.mark.parametrize("name", INITS)
def test_an_initialiser_keeps_its_law_in_groups_and_transposed(name, kind, groups):
    torch.manual_seed(0)
    layer = kind(64, 128, 3, groups=groups).double()
    outputs = torch.empty(128, 64 // groups, 3, 3, device="meta")
    by_group = {"groups": groups} if "groups" in inspect.signature(DEVIATIONS[name]).parameters else {}

    initialise(layer, name, "relu") if name not in ("default", "lsuv") else fill_weight(layer, INITS[name], "relu")

    expected = DEVIATIONS[name](outputs, "identity" if name == "lsuv" else "relu", **by_group)
    assert layer.weight.std(unbiased=False).item() == pytest.approx(expected, rel=0.1)  # 9,216 entries, few not 0


@pytest.mark.parametrize(("one", "other"), TWINS)
@pytest.mark.parametrize("shape", [(64, 128), (10, 6, 3, 3)])
def test_normal_and_uniform_twins_have_one_variance(one, other, shape):
    weight = torch.empty(shape)

    assert DEVIATIONS[one](weight) == DEVIATIONS[other](weight)
    many = (1000, 400)
    first, second = (drawn_init(name, many, 0, torch.float64).std().item() for name in (one, other))
    assert first == pytest.approx(second, rel=5 * (0.5 + 0.2) ** 0.5 / (1000 * 400) ** 0.5)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("masked", [True, False])
def test_a_pooling_gives_one_vector_a_row_under_vmap_as_alone(name, masked):
    mask = torch.arange(5) < torch.tensor([[5], [2], [0], [1]])

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = POOLINGS[name](6)

        def forward(self, x):
            return self.pool(x, mask if masked else None)

    alone, together = one_by_one_and_together(Pooled, normal(3, 4, 5, 6))

    assert alone.shape == (3, 4, 6)
    torch.testing.assert_close(alone, together)


def a_pooling(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return POOLINGS[name](6).double()


@pytest.mark.parametrize("name", POOLINGS)
def test_the_gradient_of_a_pooling_is_that_of_finite_differences(name):
    mask = torch.arange(5) < torch.tensor([[5], [2], [1]])

    assert torch.autograd.gradcheck(lambda x: a_pooling(name)(x, mask), (normal(3, 5, 6).requires_grad_(),))


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_pooling_computes_the_same_compiled(name, backend):
    torch.compiler.reset()
    layer, x, mask = a_pooling(name), normal(3, 5, 6), torch.arange(5) < torch.tensor([[5], [2], [1]])

    found = torch.compile(layer, backend=backend)(x, mask)

    torch.testing.assert_close(found, layer(x, mask))


@pytest.mark.parametrize("name", POOLINGS)
def test_the_state_of_a_pooling_goes_there_and_back(name):
    layer, x = a_pooling(name), normal(3, 5, 6)
    other = POOLINGS[name](6).double()

    other.load_state_dict(layer.state_dict())

    assert torch.equal(other(x), layer(x))
    assert torch.equal(layer.train()(x), layer.eval()(x))
