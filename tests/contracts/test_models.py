"""What every built-in net keeps to, whatever its inputs."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from tunesmith.blocks import models
from tunesmith.records import ModelError, Recipe, revise

NUMBERS = SimpleNamespace(width=3, names=("a", "b", "c"))
CATEGORIES = SimpleNamespace(sizes=(4, 9), names=("d", "e"))
TOKENS = SimpleNamespace(vocabulary=30, length=7, padding=0)
PICTURES = SimpleNamespace(channels=1, height=12, width=12, mean=(0.5,), std=(0.5,))
SPECS = {
    "numbers": {"numbers": NUMBERS},
    "categories": {"categories": CATEGORIES},
    "table": {"numbers": NUMBERS, "categories": CATEGORIES},
    "tokens": {"tokens": TOKENS},
    "mixed": {"numbers": NUMBERS, "categories": CATEGORIES, "tokens": TOKENS},
    "pictures": {"pictures": PICTURES},
    "array": {"x": SimpleNamespace(shape=(2, 5))},
}
TAKEN = {
    "mlp": ("numbers", "categories", "table", "pictures", "array"),
    "cnn": ("pictures",),
    "bag": ("tokens", "mixed"),
    "lstm": ("tokens", "mixed"),
    "transformer": ("tokens", "mixed"),
    "encoder": ("tokens", "mixed"),
    "decoder": ("tokens", "mixed"),
}
CASES = [(name, inputs) for name in models.MODELS for inputs in TAKEN[name]]
READS_TOKENS = [name for name in models.MODELS if "tokens" in TAKEN[name]]
SMALL = {"model.width": 16, "train.batch_size": 8}


def batch(spec, rows=5, dtype=torch.float32):
    makers = {
        "numbers": lambda shape: torch.randn(rows, shape.width, dtype=dtype),
        "categories": lambda shape: torch.stack([torch.randint(levels, (rows,)) for levels in shape.sizes], 1),
        "tokens": lambda shape: padded(torch.randint(1, shape.vocabulary, (rows, shape.length))),
        "pictures": lambda shape: torch.randn(rows, shape.channels, shape.height, shape.width, dtype=dtype),
        "x": lambda shape: torch.randn(rows, *shape.shape, dtype=dtype),
    }
    found = {key: makers[key](shape) for key, shape in spec.items()}
    return next(iter(found.values())) if len(found) == 1 else found


def padded(tokens):
    lengths = 2 + torch.arange(len(tokens)) % (tokens.shape[1] - 1)
    return torch.where(torch.arange(tokens.shape[1]) < lengths[:, None], tokens, 0)


def rows_of(inputs, rows):
    return {key: part[rows] for key, part in inputs.items()} if isinstance(inputs, dict) else inputs[rows]


def net(name, inputs, *, outputs=3, kind="multiclass", seed=0, **changes):
    torch.manual_seed(seed)
    return models.build(name, revise(Recipe(), SMALL | changes), SPECS[inputs], outputs, kind)


@pytest.mark.parametrize(("name", "inputs"), CASES)
@pytest.mark.parametrize(
    ("kind", "outputs", "shape"),
    [
        ("multiclass", 3, (5, 3)),
        ("binary", 2, (5, 2)),
        ("multilabel", 4, (5, 4)),
        ("regression", 1, (5,)),
        ("multi_regression", 2, (5, 2)),
    ],
)
def test_the_outputs_have_the_shape_of_the_task(name, inputs, kind, outputs, shape):
    model = net(name, inputs, outputs=outputs, kind=kind)

    found = model(batch(SPECS[inputs]))

    assert found.shape == shape
    assert found.isfinite().all()


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_a_lone_input_may_come_under_its_name(name, inputs):
    spec = SPECS[inputs]
    if len(spec) > 1:
        pytest.skip("several inputs always come by name")
    model = net(name, inputs).eval()
    given = batch(spec)

    assert torch.equal(model(given), model({next(iter(spec)): given}))


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_many_nets_at_once_give_what_each_gives_alone(name, inputs):
    nets = [net(name, inputs, seed=seed).eval() for seed in range(3)]
    given = batch(SPECS[inputs])
    parameters, buffers = stack_module_state(nets)

    together = vmap(lambda p, b: functional_call(nets[0], (p, b), (given,)))(parameters, buffers)

    assert torch.allclose(together, torch.stack([one(given) for one in nets]), atol=1e-5)


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_many_nets_at_once_have_the_gradient_of_each_alone(name, inputs):
    nets = [net(name, inputs, seed=seed, **{"model.dropout": 0.0}).double() for seed in range(2)]
    given = batch(SPECS[inputs], dtype=torch.float64)
    parameters, buffers = stack_module_state(nets)

    together = vmap(grad(lambda p, b: functional_call(nets[0], (p, b), (given,)).square().sum()))(parameters, buffers)

    for i, one in enumerate(nets):
        one(given).square().sum().backward()
        for key, value in one.named_parameters():
            assert torch.allclose(together[key][i], value.grad, rtol=1e-8, atol=1e-10), key


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_nets_with_dropout_train_under_vmap(name, inputs):
    nets = [net(name, inputs, **{"model.dropout": 0.5}).train() for _ in range(2)]
    given = batch(SPECS[inputs])
    parameters, buffers = stack_module_state(nets)

    one, other = vmap(lambda p, b: functional_call(nets[0], (p, b), (given,)), randomness="different")(
        parameters, buffers
    )

    assert not torch.equal(one, other)


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_double_precision_agrees_with_single(name, inputs):
    single, double = net(name, inputs).eval(), net(name, inputs).eval().double()
    torch.manual_seed(1)
    given = batch(SPECS[inputs])
    wide = (
        {key: part.double() if part.is_floating_point() else part for key, part in given.items()}
        if isinstance(given, dict)
        else given
    )
    wide = wide.double() if isinstance(wide, torch.Tensor) and wide.is_floating_point() else wide

    found = double(wide)

    assert found.dtype == torch.float64
    assert torch.allclose(found.float(), single(given), atol=1e-4)


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_the_state_dict_carries_the_whole_net(name, inputs):
    one, other = net(name, inputs, seed=0).eval(), net(name, inputs, seed=1).eval()
    given = batch(SPECS[inputs])
    assert not torch.equal(one(given), other(given))

    other.load_state_dict(one.state_dict())

    assert torch.equal(one(given), other(given))


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_a_row_does_not_see_the_others_in_evaluation(name, inputs):
    model = net(name, inputs).double().eval()
    given = batch(SPECS[inputs], dtype=torch.float64)

    alone = torch.cat([model(rows_of(given, slice(i, i + 1))) for i in range(5)])

    assert torch.allclose(model(given), alone, atol=1e-12)


@pytest.mark.parametrize(("name", "inputs"), CASES)
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_a_gradient_reaches_every_parameter(name, inputs, pooling):
    model = net(name, inputs, **{"model.pooling": pooling})
    with torch.no_grad():
        for parameter in model.parameters():  # branches that begin at zero pass nothing back before the first update
            parameter.add_(torch.randn_like(parameter), alpha=0.01)

    model(batch(SPECS[inputs], rows=16)).square().sum().backward()

    assert [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize(("name", "inputs"), CASES)
def test_the_seed_decides_weights_and_dropout(name, inputs):
    given = batch(SPECS[inputs])

    def outputs():
        model = net(name, inputs, **{"model.dropout": 0.3})
        return model(given)

    assert torch.equal(outputs(), outputs())


@pytest.mark.parametrize("name", READS_TOKENS)
@pytest.mark.parametrize("inputs", ["tokens", "mixed"])
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_padding_changes_nothing(name, inputs, pooling):
    model = net(name, inputs, **{"model.pooling": pooling, "model.depth": 2}).double().eval()
    given = batch(SPECS[inputs], dtype=torch.float64)

    def longer(tokens):
        return torch.cat([tokens, torch.zeros(len(tokens), 6, dtype=torch.int64)], 1)

    more = given | {"tokens": longer(given["tokens"])} if isinstance(given, dict) else longer(given)

    assert torch.allclose(model(given), model(more), atol=1e-12)


@pytest.mark.parametrize("name", READS_TOKENS)
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_a_text_of_padding_alone_has_finite_outputs_and_gradients(name, pooling):
    model = net(name, "tokens", **{"model.pooling": pooling})

    found = model(torch.zeros(2, 4, dtype=torch.int64))
    found.sum().backward()

    assert found.isfinite().all()
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("name", READS_TOKENS)
def test_one_token_is_text_enough(name):
    assert net(name, "tokens")(torch.tensor([[3], [4]])).shape == (2, 3)


@pytest.mark.parametrize("name", models.MODELS)
def test_inputs_of_another_kind_are_refused_in_one_sentence(name):
    other = "numbers" if name != "mlp" else "tokens"

    with pytest.raises(ModelError, match=rf"{name} needs .*the data have {other}.*; set model.name to '(mlp|bag)'"):
        net(name, other)


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("rows", [20, 1_000, 30_000, 2_000_000])
def test_the_defaults_are_a_valid_recipe_for_any_number_of_rows(name, rows):
    spec = SPECS[TAKEN[name][0]]

    settled = models.settle(Recipe(), name, spec, rows)

    found = models.defaults(name, spec, rows)
    assert all(settled.get(path) == value for path, value in found.items())
    assert {"optim.lr", "train.epochs", "train.batch_size"} <= set(found)
    assert found["train.batch_size"] <= max(rows, 8)


@pytest.mark.parametrize("name", models.MODELS)
def test_the_last_layer_is_called_head(name):
    model = net(name, TAKEN[name][0], outputs=7)

    assert isinstance(model.head, nn.Linear)
    assert model.head.out_features == 7
