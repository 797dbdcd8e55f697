"""What every member keeps on a device that is not the processor.

Without a GPU the device is "meta": a tensor that a forward makes on the processor by itself does not go with it. With
one, the numbers are those of the processor.
"""

import copy

import pytest
import torch

from tests.contracts.test_layers import ALL, OF_FEATURES, a_layer
from tests.contracts.test_losses import CASES, INSTANCES, batch, made
from tests.contracts.test_optimizers import NAMES, Bowl, stepped, weights
from tests.contracts.test_optimizers import made as made_optimizer
from tunesmith.blocks.layers import ACTIVATIONS, INITS, POOLINGS

LOSSES = [*CASES, *((name, "") for name in INSTANCES)]
cuda = pytest.mark.gpu


def on(device: str, *tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.to(device) for tensor in tensors]


@pytest.mark.parametrize(("name", "dims"), ALL)
def test_a_norm_goes_where_it_is_moved(name, dims):
    layer, x = a_layer(name, dims)

    for training in (True, False):
        layer.train(training)
        assert layer.to("meta")(x.to("meta")).device.type == "meta"

    assert {value.device.type for value in (*layer.parameters(), *layer.buffers())} <= {"meta"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_goes_where_its_input_is(name):
    assert ACTIVATIONS[name]().to("meta")(torch.empty(3, 4, device="meta")).device.type == "meta"


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_goes_where_it_is_moved(name):
    x, mask = on("meta", torch.empty(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))

    assert POOLINGS[name](6).to("meta")(x, mask).device.type == "meta"


@cuda
@pytest.mark.parametrize(("name", "dims"), ALL)
def test_a_norm_on_a_gpu_gives_the_same_numbers(name, dims):
    layer, x = a_layer(name, dims)
    other = copy.deepcopy(layer).to("cuda")
    here, there = x.clone().requires_grad_(), x.to("cuda").requires_grad_()

    layer(here).square().sum().backward()
    other(there).square().sum().backward()

    torch.testing.assert_close(other(there).cpu(), layer(here))
    torch.testing.assert_close(there.grad.cpu(), here.grad)
    for one, moved in zip(layer.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(moved.grad.cpu(), one.grad)


@cuda
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", [name for name in OF_FEATURES if name != "instance"])
def test_a_norm_on_a_gpu_takes_half_precision(name, half):
    layer, x = a_layer(name, 0)
    layer, x = layer.float(), x.to(half).float()

    found = copy.deepcopy(layer).to("cuda", half)(x.to("cuda", half))

    assert found.dtype == half
    torch.testing.assert_close(found.cpu().float(), layer(x), rtol=0.02, atol=0.02)


@cuda
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_on_a_gpu_gives_the_same_numbers(name):
    x = torch.linspace(-4, 4, 101, dtype=torch.float64)

    torch.testing.assert_close(ACTIVATIONS[name]()(x.to("cuda")).cpu(), ACTIVATIONS[name]()(x))


@cuda
@pytest.mark.parametrize("name", INITS)
def test_an_initialiser_fills_a_weight_on_a_gpu(name):
    weight = torch.full((300, 200), torch.nan, device="cuda")
    here = torch.full((300, 200), torch.nan)

    for one in (weight, here):
        torch.manual_seed(0)
        INITS[name](one)

    assert torch.isfinite(weight).all()
    assert weight.std().item() == pytest.approx(here.std().item(), rel=0.05)


@cuda
@pytest.mark.parametrize(("name", "kind"), LOSSES)
def test_a_loss_on_a_gpu_gives_the_same_number(name, kind):
    outputs, target = batch(name, kind, 12, seed=0)
    loss, moved = made(name, kind), made(name, kind)

    found = moved(*on("cuda", outputs, target))
    expected = loss(outputs, target)

    assert float(found.value) == pytest.approx(float(expected.value), rel=1e-10)


@cuda
@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_on_a_gpu_takes_the_same_steps(name):
    here, there = Bowl(), Bowl()
    there.to("cuda")
    there.forward = lambda: sum(  # type: ignore[method-assign]
        (torch.linspace(0.5, 2.0, 12, dtype=torch.float64, device="cuda") * (w.flatten() - 1) ** 2).sum() / 2
        for w in (there.first, there.head)
    )

    for bowl in (here, there):
        stepped(bowl, made_optimizer(name, bowl), 5)

    for one, moved in zip(weights(here), weights(there), strict=True):
        torch.testing.assert_close(moved.cpu(), one)
