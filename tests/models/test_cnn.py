import math

import pytest
import torch
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F

from tunesmith.blocks import layers
from tunesmith.blocks.models import build, defaults
from tunesmith.blocks.models.cnn import CNN, channels_last, epochs, halvings, stages
from tunesmith.data.spec import Numbers, Pictures, Plain
from tunesmith.records import ModelError, Recipe, UnknownName, revise


def pictures(channels: int, height: int, width: int | None = None) -> dict[str, Pictures]:
    return {"pictures": Pictures(channels, height, width or height, (0.0,) * channels, (1.0,) * channels)}


def net_of(spec=None, *, outputs=5, kind="multiclass", seed=0, **changes) -> CNN:
    torch.manual_seed(seed)
    recipe = revise(Recipe(), {f"model.{name}": value for name, value in {"dropout": 0.0, **changes}.items()})
    return build("cnn", recipe, spec or pictures(1, 12), outputs, kind)


def normal(*shape: int, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("channels", "height", "width"),
    [(1, 8, 8), (1, 9, 13), (2, 28, 28), (3, 32, 32), (4, 50, 70), (3, 16, 120), (3, 224, 224)],
)
def test_pictures_of_any_size_give_outputs_and_gradients_everywhere(channels, height, width):
    net = net_of(pictures(channels, height, width), width=8)

    outputs = net(normal(2, channels, height, width))
    # a head at its small start and branches at zero still pass gradients to what multiplies them
    F.cross_entropy(outputs, torch.tensor([0, 4])).backward()

    assert outputs.shape == (2, 5)
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in net.parameters())


@pytest.mark.parametrize("side", range(1, 300))
def test_the_map_ends_small_whatever_the_size(side):
    first = math.ceil(side / 2 ** halvings(side, side))
    last = math.ceil(first / 2 ** (stages(side, side) - 1))

    assert first <= 24
    assert last <= 3
    assert side < 2 or last >= 2  # and not smaller than it need be


def test_the_map_has_the_sizes_that_were_reckoned():
    seen = []
    net = net_of(pictures(3, 50, 70), width=8)
    for block in net.stages:
        block.register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))

    net(normal(2, 3, 50, 70))

    assert seen == [(2, 8, 13, 18), (2, 16, 7, 9), (2, 32, 4, 5), (2, 64, 2, 3)]


@pytest.mark.parametrize("norm", ["batch", "layer", "group", "rms", "instance", "none"])
def test_every_block_starts_as_its_skip(norm):
    net = net_of(norm=norm, width=8).double()
    block = net.stages[1]
    x = normal(3, 8, 6, 6, dtype=torch.float64).relu()

    torch.testing.assert_close(block(x), block.activation(block.skip(x)))


@pytest.mark.parametrize("norm", ["batch", "layer", "group", "rms", "instance", "none"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_a_step_down_the_gradient_lowers_the_loss(norm, activation):
    net = net_of(pictures(3, 16), norm=norm, activation=activation, width=8)
    x, target = normal(16, 3, 16, 16), torch.arange(16) % 5
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []

    for _ in range(20):
        loss = F.cross_entropy(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[0] == pytest.approx(math.log(5), abs=0.1)  # the head is near zero: all classes alike
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
@pytest.mark.parametrize("norm", ["batch", "group", "rms"])
@pytest.mark.parametrize("training", [True, False])
def test_many_nets_under_vmap_equal_one_by_one(pooling, norm, training):
    nets = [
        net_of(pictures(2, 12), norm=norm, pooling=pooling, width=8, seed=seed).double().train(training)
        for seed in range(3)
    ]
    x = normal(3, 4, 2, 12, 12, dtype=torch.float64)
    parameters, buffers = stack_module_state(nets)

    together = torch.vmap(lambda p, b, one: functional_call(nets[0], (p, b), (one,)))(parameters, buffers, x)

    torch.testing.assert_close(together, torch.stack([net(one) for net, one in zip(nets, x, strict=True)]))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_memory_layout_changes_no_number(channels):
    x = normal(2, channels, 5, 4)

    turned = channels_last(x)

    assert torch.equal(turned, x)
    assert turned.stride() == (5 * 4 * channels, 1, 4 * channels, channels)
    assert torch.nn.Conv2d(channels, 4, 3)(turned).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("kind", "outputs", "shape"), [("regression", 1, (4,)), ("multi_regression", 3, (4, 3)), ("binary", 2, (4, 2))]
)
def test_outputs_have_the_shape_of_the_kind(kind, outputs, shape):
    net = net_of(outputs=outputs, kind=kind, width=8)

    assert net(normal(4, 1, 12, 12)).shape == shape


def test_arrays_without_a_channel_are_pictures_of_one_channel():
    flat, named = net_of({"x": Plain((12, 12))}), net_of(pictures(1, 12))
    x = normal(4, 12, 12)

    assert torch.equal(flat(x), named(x.unsqueeze(1)))
    assert torch.equal(flat(x), flat({"x": x}))


def test_dropout_acts_in_training_alone():
    net = net_of(dropout=0.5, norm="group", width=8)
    x = normal(4, 1, 12, 12)

    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_names_in_the_recipe_reach_the_net():
    net = net_of(norm="rms", activation="mish", pooling="attention", width=12, depth=2, dropout=0.25)

    kinds = {type(module).__name__ for module in net.modules()}
    assert {"RMSNorm", "Mish", "AttentionPooling"} <= kinds
    assert not {"BatchNorm2d", "ReLU"} & kinds
    assert (len(net.stages), net.head.in_features, net.dropout.p) == (2, 24, 0.25)
    assert isinstance(net.stages[0].first_norm, type(layers.norm("rms", 12, dims=2)))


def test_the_initialiser_is_the_one_named():
    he, small = (net_of(init=name, width=24).stages[2].first.weight.std().item() for name in ("he_normal", "normal"))

    assert he == pytest.approx(math.sqrt(2 / (48 * 9)), rel=0.05)
    assert small == pytest.approx(0.0176, rel=0.05)


def test_an_unknown_part_names_the_nearest():
    with pytest.raises(UnknownName, match="no norm called 'bach'; did you mean 'batch'"):
        net_of(norm="bach")


def test_columns_beside_the_pictures_are_refused():
    spec = {**pictures(1, 12), "numbers": Numbers(2, ("age", "height"))}

    with pytest.raises(ModelError, match="cnn needs pictures"):
        net_of(spec)


def test_rows_that_are_no_pictures_are_refused():
    with pytest.raises(ModelError, match=r"rows of shape \(7,\)"):
        net_of({"x": Plain((7,))})


def test_the_defaults_go_by_size_and_rows():
    small, large = defaults("cnn", pictures(1, 8), 1_000), defaults("cnn", pictures(3, 224), 100_000)

    assert (small["model.depth"], large["model.depth"]) == (3, 4)
    assert small["train.epochs"] > large["train.epochs"]
    assert small["model.width"] < large["model.width"]
    assert small["train.batch_size"] < large["train.batch_size"]
    assert [epochs(rows) for rows in (0, 1, 10, 10**4)] == [80, 80, 80, 20]
    revise(Recipe(), small)
    revise(Recipe(), large)
