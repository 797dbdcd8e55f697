import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tunesmith.blocks import models
from tunesmith.blocks.models.transformer import Block, sinusoids
from tunesmith.records import ModelError, Recipe, revise

SPEC = {"tokens": SimpleNamespace(vocabulary=30, length=7, padding=0)}


def net(**changes):
    torch.manual_seed(0)
    return models.build("transformer", revise(Recipe(), {"model.width": 16} | changes), SPEC, 3, "multiclass").eval()


def test_a_block_agrees_with_torchs_pre_norm_layer():
    torch.manual_seed(0)
    recipe = revise(
        Recipe(),
        {"model.width": 8, "model.heads": 2, "model.norm": "layer", "model.activation": "gelu", "model.dropout": 0.0},
    )
    block = Block(recipe.model).double()
    theirs = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double()
    pairs = {
        "self_attn.in_proj_weight": "attention.project.weight", "self_attn.in_proj_bias": "attention.project.bias",
        "self_attn.out_proj.weight": "attention.join.weight", "self_attn.out_proj.bias": "attention.join.bias",
        "linear1.weight": "expand.weight", "linear1.bias": "expand.bias",
        "linear2.weight": "contract.weight", "linear2.bias": "contract.bias",
        "norm1.weight": "attention_norm.weight", "norm1.bias": "attention_norm.bias",
        "norm2.weight": "norm.weight", "norm2.bias": "norm.bias",
    }  # fmt: skip
    theirs.load_state_dict({name: block.state_dict()[ours] for name, ours in pairs.items()})
    x, mask = torch.randn(3, 5, 8, dtype=torch.float64), torch.arange(5) < torch.tensor([[5], [2], [4]])

    found = block(x, mask)

    assert torch.allclose(found[mask], theirs(x, src_key_padding_mask=~mask)[mask], atol=1e-12)


def test_positions_are_the_sinusoids_of_the_paper():
    found = sinusoids(50, 6, torch.zeros((), dtype=torch.float64))

    assert found[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert found[7, 1] == pytest.approx(math.sin(7 / 10_000 ** (2 / 6)))
    assert found[7, 5] == pytest.approx(math.cos(7 / 10_000 ** (4 / 6)))


def test_the_order_of_tokens_counts():
    model = net()

    assert not torch.allclose(model(torch.tensor([[1, 2, 3]])), model(torch.tensor([[3, 2, 1]])), atol=1e-4)


def test_a_smaller_embedding_is_widened():
    model = net(**{"model.embedding_dim": 4})

    assert model.table.weight.shape == (30, 4)
    assert model(torch.tensor([[1, 2]])).shape == (1, 3)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ModelError, match=r"model\.width = 16 is not a multiple of model\.heads = 3"):
        net(**{"model.heads": 3})


def test_a_norm_that_looks_beyond_its_position_is_refused():
    with pytest.raises(ModelError, match=r"model\.norm 'batch' cannot; try 'layer'"):
        net(**{"model.norm": "batch"})
