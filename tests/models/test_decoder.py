import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.models.plain_llama import logits_of
from tunesmith.blocks import models
from tunesmith.blocks.models.blocks import through
from tunesmith.records import ModelError, Recipe, revise

SPEC = {"tokens": SimpleNamespace(vocabulary=50, length=9, padding=0)}
SMALL = {"model.width": 32, "model.depth": 2, "model.heads": 4}
WAYS = [
    {},
    {"model.kv_heads": 2},
    {"model.kv_heads": 1, "model.tied": False},
    {"model.positions": "learnt", "model.norm": "layer", "model.gated": False, "model.activation": "gelu"},
    {"model.rotary_base": 500.0, "model.norm_eps": 1e-3, "model.feed_forward": 40},
    {"model.norm": "weight"},
    {"model.recompute": True},
]


def net(seed=0, spec=SPEC, outputs=50, kind="language", **changes):
    torch.manual_seed(seed)
    return models.build("decoder", revise(Recipe(), SMALL | changes), spec, outputs, kind)


def tokens(*shape, seed=1):
    return torch.randint(1, 50, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("changes", WAYS)
def test_a_token_is_predicted_from_those_before_it_alone(changes):
    model = net(**changes).double().eval()
    given = tokens(2, 9)
    other = given.clone()
    other[:, 5] = 0

    one, two = model(given), model(other)

    assert one.shape == (2, 9, 50)
    assert torch.equal(one[:, :5], two[:, :5])
    assert not torch.allclose(one[:, 5:], two[:, 5:])


@pytest.mark.parametrize("changes", WAYS)
def test_the_loss_at_the_start_is_the_logarithm_of_the_vocabulary(changes):
    spec = {"tokens": SimpleNamespace(vocabulary=1000, length=64, padding=0)}
    model = net(spec=spec, outputs=1000, **changes | {"model.width": 128, "model.depth": 4})
    given = torch.randint(0, 1000, (16, 65), generator=torch.Generator().manual_seed(0))

    loss = torch.nn.functional.cross_entropy(model(given[:, :-1]).flatten(0, 1), given[:, 1:].flatten())

    assert loss.item() == pytest.approx(math.log(1000), abs=0.1)


@pytest.mark.parametrize("changes", WAYS[:5])
def test_samples_in_one_row_do_not_see_each_other(changes):
    model = net(**changes).double().eval()
    one, two, three = tokens(1, 4), tokens(1, 3, seed=2), tokens(1, 2, seed=3)
    packed = {
        "tokens": torch.cat([one, two, three], 1),
        "segments": torch.tensor([[1] * 4 + [2] * 3 + [3] * 2]),
    }

    found = model(packed)

    alone = torch.cat([model(part) for part in (one, two, three)], 1)
    assert torch.allclose(found, alone, atol=1e-12)
    assert not torch.allclose(found, model(packed["tokens"]), atol=1e-6)


def test_positions_may_be_given():
    model = net().double().eval()
    given = tokens(1, 6)
    mine = {"tokens": given, "positions": torch.arange(6)[None]}

    assert torch.equal(model(mine), model(given))
    spread = model({"tokens": given, "positions": torch.arange(0, 18, 3)[None]})
    assert not torch.allclose(model(mine), spread, atol=1e-6)


@pytest.mark.parametrize("changes", WAYS[:5])
def test_the_logits_with_a_cache_are_those_without(changes):
    model = net(**changes).double().eval()
    given = tokens(3, 9)
    with torch.no_grad():
        whole, cache = model(given), model.new_cache(3, 9)

        steps = [model(given[:, :4], cache)] + [model(given[:, i : i + 1], cache) for i in range(4, 9)]

    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-12)


def test_a_decoder_agrees_with_a_plain_forward_pass():
    model = net(**{"model.kv_heads": 2}).double().eval()
    given = tokens(9)

    found = model(given[None])[0].detach().numpy()

    np.testing.assert_allclose(found, logits_of(model, given.numpy()), atol=1e-10)


def test_blocks_computed_again_give_the_same_gradient_and_keep_less(monkeypatch):
    given, kept = tokens(4, 9), {}

    def gradients(recompute):
        model = net(**{"model.recompute": recompute, "model.dropout": 0.3}).train()
        torch.manual_seed(5)
        total = 0

        def count(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = model(given).square().mean()
        kept[recompute] = total
        loss.backward()
        return [value.grad for value in model.parameters()]

    plain, again = gradients(False), gradients(True)

    assert all(torch.equal(one, two) for one, two in zip(plain, again, strict=True))
    assert kept[True] < kept[False] / 3


def test_nothing_is_computed_again_without_a_gradient():
    calls = []

    def block(x):
        calls.append(x)
        return x * 2

    with torch.no_grad():
        through(block, True, torch.ones(2))

    assert len(calls) == 1


def test_a_tied_head_is_the_table_and_counts_once():
    tied, own = net(), net(**{"model.tied": False})

    assert tied.head.weight is tied.table.weight
    assert sum(one.numel() for one in own.parameters()) - sum(one.numel() for one in tied.parameters()) == 50 * 32


def test_as_a_classifier_it_reads_its_last_real_token():
    model = net(kind="multiclass", outputs=3).double().eval()
    given = tokens(1, 5)
    padded = torch.cat([given, torch.zeros(1, 4, dtype=torch.int64)], 1)

    assert model(given).shape == (1, 3)
    assert torch.allclose(model(given), model(padded), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.heads": 3}, r"model\.width = 32 is not a multiple of model\.heads = 3"),
        ({"model.kv_heads": 3}, r"model\.kv_heads = 3 does not divide model\.heads = 4"),
        ({"model.heads": 32}, r"model\.width / model\.heads = 1 is odd"),
        ({"model.norm": "batch"}, r"the decoder normalises each position alone: model\.norm 'batch' cannot"),
        ({"model.embedding_dim": 8}, r"model\.embedding_dim = 8 beside model\.width = 32; leave it out"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_one_sentence(changes, said):
    with pytest.raises(ModelError, match=said):
        net(**changes)


def test_a_tied_head_of_other_outputs_is_refused():
    with pytest.raises(
        ModelError, match=r"50 rows of the table of tokens, and 7 outputs are wanted; set model\.tied = false"
    ):
        net(outputs=7)


def test_a_text_beyond_the_learnt_positions_is_refused():
    model = net(**{"model.positions": "learnt", "model.context": 6})

    with pytest.raises(
        ModelError, match=r"a text of 7 tokens came, and the decoder has learnt positions for 6; set data\.max_seq_len"
    ):
        model(tokens(1, 7))
    assert model({"tokens": tokens(1, 7), "segments": torch.tensor([[1, 1, 1, 1, 2, 2, 2]])}).shape == (1, 7, 50)


@pytest.mark.parametrize("name", ["transformer", "encoder", "bag"])
def test_a_net_that_sees_the_whole_text_is_refused_for_language(name):
    with pytest.raises(ModelError, match=rf"the {name} does not predict the next token; set model\.name = 'decoder'"):
        models.build(name, Recipe(), SPEC, 50, "language")


def test_auto_means_a_decoder_for_language():
    assert models.choose(SPEC, "language") == "decoder"
    assert type(models.build("auto", revise(Recipe(), SMALL), SPEC, 50, "language")).__name__ == "Decoder"
