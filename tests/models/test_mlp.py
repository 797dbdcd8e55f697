from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from tunesmith.blocks import models
from tunesmith.records import Recipe, revise

SPEC = {"numbers": SimpleNamespace(width=3, names=("a", "b", "c"))}


def net(**changes):
    torch.manual_seed(0)
    recipe = revise(
        Recipe(), {"model.width": 4, "model.depth": 2, "model.norm": "none", "model.activation": "relu"} | changes
    )
    return models.build("mlp", recipe, SPEC, 2, "multiclass").double().eval()


def weights(model):
    return [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in model.modules()
        if isinstance(layer, nn.Linear)
    ]


def test_the_plain_net_is_its_formula():
    model, x = net(**{"model.residual": False}), np.random.default_rng(0).normal(size=(5, 3))

    found = model(torch.from_numpy(x)).detach().numpy()

    (a, b), (c, d), (e, f) = weights(model)
    hidden = np.maximum(np.maximum(x @ a.T + b, 0) @ c.T + d, 0)
    np.testing.assert_allclose(found, hidden @ e.T + f, rtol=1e-12)


def test_the_residual_net_is_its_formula():
    model, x = net(**{"model.residual": True}), np.random.default_rng(0).normal(size=(5, 3))

    found = model(torch.from_numpy(x)).detach().numpy()

    (a, b), *blocks, (e, f) = weights(model)
    state = x @ a.T + b
    for (c, d), (g, h) in (blocks[:2], blocks[2:]):
        state = state + np.maximum(state @ c.T + d, 0) @ g.T + h
    np.testing.assert_allclose(found, np.maximum(state, 0) @ e.T + f, rtol=1e-12)


def test_the_choices_of_the_recipe_are_built():
    model = net(
        **{
            "model.norm": "batch",
            "model.activation": "gelu",
            "model.dropout": 0.25,
            "model.depth": 3,
            "model.residual": False,
        }
    )

    kinds = [type(layer) for layer in model.trunk.modules()]
    assert kinds.count(nn.BatchNorm1d) == kinds.count(nn.GELU) == kinds.count(nn.Dropout) == 3
    assert {layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)} == {0.25}
