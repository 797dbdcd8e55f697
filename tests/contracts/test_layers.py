"""What every member of the layer catalogues keeps."""

import inspect

import pytest
import torch
from torch.func import functional_call, stack_module_state

from tunesmith.blocks.layers import ACTIVATIONS, INITS, NORMS, POOLINGS
from tunesmith.records import ModelError

SPATIAL = {0: (), 1: (5,), 2: (4, 3)}
REFUSED = {("instance", 0)}  # a norm may refuse vectors, with a way out
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


@pytest.mark.parametrize("dims", SPATIAL)
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_norm_keeps_shape_and_type_and_passes_gradients(name, dims, dtype):
    layer = a_norm(name, dims).to(dtype)
    x = normal(6, 8, *SPATIAL[dims], dtype=dtype).requires_grad_()

    y = layer(x)
    (y * normal(*y.shape, dtype=dtype)).sum().backward()

    assert y.shape == x.shape
    assert y.dtype == dtype
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("dims", SPATIAL)
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_a_norm_under_vmap_equals_a_loop(name, dims, training):
    a_norm(name, dims)

    alone, together = one_by_one_and_together(
        lambda: NORMS[name](8, dims=dims).train(training), normal(3, 6, 8, *SPATIAL[dims])
    )

    torch.testing.assert_close(alone, together)


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


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (8, 4, 3), (8, 1, 3, 3)])
@pytest.mark.parametrize("name", INITS)
def test_an_initialiser_fills_all_from_the_global_generator(name, shape):
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        weight = torch.full(shape, torch.nan)
        INITS[name](weight)
        return weight

    assert torch.isfinite(drawn(0)).all()
    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


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
