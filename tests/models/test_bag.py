from types import SimpleNamespace

import torch

from tunesmith.blocks import models
from tunesmith.records import Recipe, revise

SPEC = {"tokens": SimpleNamespace(vocabulary=30, length=7, padding=0)}


def net(**changes):
    torch.manual_seed(0)
    return models.build("bag", revise(Recipe(), changes), SPEC, 3, "multiclass").eval()


def test_one_layer_is_a_linear_classifier_of_the_mean_embedding():
    model = net(**{"data.ngrams": 1, "model.depth": 1})

    found = model(torch.tensor([[3, 8, 8, 0]]))

    mean = (model.table.weight[3] + 2 * model.table.weight[8]) / 3
    assert torch.allclose(found[0], model.head(mean), atol=1e-6)


def test_the_order_of_tokens_counts_only_with_ngrams():
    one, other = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[4, 2, 3, 1]])

    assert torch.allclose(net(**{"data.ngrams": 1})(one), net(**{"data.ngrams": 1})(other), atol=1e-7)
    assert not torch.allclose(net(**{"data.ngrams": 2})(one), net(**{"data.ngrams": 2})(other), atol=1e-4)


def test_no_ngrams_need_no_table_for_them():
    assert net(**{"data.ngrams": 0}).table.num_embeddings == 30


def test_dropout_leaves_out_whole_tokens():
    model = net(**{"data.ngrams": 1, "model.dropout": 0.5}).train()

    found = model(torch.full((400, 1), 7))

    without, with_it = model.head.bias, model.head(model.table.weight[7])
    kept = torch.isclose(found, with_it, atol=1e-6).all(1)
    assert (kept | torch.isclose(found, without, atol=1e-6).all(1)).all()
    assert 150 < kept.sum() < 250


def test_depth_adds_hidden_layers():
    assert len(net(**{"model.depth": 3}).trunk) == 2
