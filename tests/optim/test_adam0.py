"""Adam without ε: exact where Adam's ε does not matter, and no NaN where v is 0."""

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import build
from tunesmith.blocks.optim.adam0 import Adam0
from tunesmith.records import ModelError, Recipe, RecipeError, revise

F64 = torch.float64


def path(optimizer, weight, steps=6):
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        weight.grad = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize(("kind", "decoupled"), [(torch.optim.Adam, False), (torch.optim.AdamW, True)])
def test_with_gradients_everywhere_it_is_adam_with_an_epsilon_that_is_nothing(kind, decoupled):
    one, other = (nn.Parameter(torch.linspace(-1, 1, 5, dtype=F64)) for _ in range(2))

    ours = path(Adam0([one], lr=0.1, weight_decay=0.2, decoupled_weight_decay=decoupled), one)
    theirs = path(kind([other], lr=0.1, eps=1e-300, weight_decay=0.2), other)

    assert torch.allclose(ours, theirs, rtol=1e-12, atol=0)


def test_where_adam_gives_nan_it_stays():
    one, other = (nn.Parameter(torch.ones(3)) for _ in range(2))
    ours, theirs = Adam0([one], lr=0.1), torch.optim.Adam([other], lr=0.1, eps=0.0, foreach=False)

    for weight, optimizer in ((one, ours), (other, theirs)):
        weight.grad = torch.tensor([0.0, 1e-30, 1.0])  # the square of the second is 0 in single precision
        optimizer.step()

    assert one.tolist() == pytest.approx([1.0, 1.0, 0.9])
    assert not other[0].isfinite()


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_an_epsilon_of_zero_in_the_recipe_means_it(name):
    optimizer = build(
        revise(Recipe(), {"optim.name": name, "optim.eps": 0.0, "optim.weight_decay": 0.1}), nn.Linear(2, 2), 0.1
    )

    assert isinstance(optimizer, Adam0)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert optimizer.param_groups[0]["decoupled_weight_decay"] == (name == "adamw")


def test_settings_and_gradients_that_it_has_not_are_refused():
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2).to_sparse()

    with pytest.raises(ModelError, match="dense, real gradients"):
        Adam0([weight]).step()
    with pytest.raises(RecipeError, match="betas"):
        Adam0([weight], betas=(0.9, 1.0))
    for settings, words in (
        ({"optim.extra": {"amsgrad": True}}, "takes no 'amsgrad'"),
        ({"optim.implementation": "fused"}, "forloop only"),
    ):
        with pytest.raises(RecipeError, match=words):
            build(revise(Recipe(), {"optim.name": "adam0", **settings}), nn.Linear(2, 2), 0.1)
