"""Trainings that begin from a folder of a language model: its shape, its tokens, adapters beside its weights."""

import json

import numpy as np
import pytest
import torch

import tunesmith as ts
from tests.training.pretrained.test_beginning import Heard, Net, data
from tests.training.test_resume import final, same
from tunesmith.blocks.models import stored
from tunesmith.records import ModelError, RecipeError
from tunesmith.records.sections import LoraTable
from tunesmith.training import adapters

COMMON = {
    "train.batch_size": 8, "train.epochs": 2, "train.threads": 1, "eval.bootstrap": 0, "run.watch": False,
    "data.max_seq_len": 48, "optim.lr": 1e-3,
}  # fmt: skip
LORA = {"model.lora.rank": 4, "model.lora.dropout": 0.1, "optim.lr": 5e-3}


@pytest.fixture
def stories(shared):
    return shared / "data/models/stories260k"


@pytest.fixture
def texts(tmp_path):
    """Sixty short stories of one kind."""
    names, things = ("Lily", "Tim", "Sue", "Ben", "Mia"), ("ball", "cat", "tree", "hat")
    said = [f"{name} had a big {thing}. {name} liked the {thing} very much." for name in names for thing in things] * 3
    place = tmp_path / "texts.jsonl"
    place.write_text("\n".join(json.dumps({"text": f"{text} {i}"}) for i, text in enumerate(said)))
    return str(place)


def fit(texts, recipe, **about):
    heard = Heard()
    run = ts.fit(ts.Task(train=texts, kind="language"), {**COMMON, **recipe}, display=heard, **about)
    return run, heard.notices


def loss(run, part="val"):
    return run.scores["parts"][part]["loss"]


def told(notices, words):
    return [line for line in notices if words in line]


def test_a_training_takes_shape_weights_and_tokens_of_the_folder(stories, texts):
    own = {"model.pretrained": str(stories), "data.tokenizer_folder": str(stories)}

    run, notices = fit(texts, own)
    scratch, _ = fit(texts, {**own, "model.pretrained": None})

    assert (run.recipe.model.width, run.recipe.model.depth, run.recipe.model.kv_heads) == (64, 5, 4)
    assert told(notices, "47 of 47 parameters are taken, 100.0% of the numbers")
    assert loss(run) < 2 < loss(scratch)


def test_with_other_tokens_the_table_begins_fresh_and_it_is_told(stories, texts):
    run, notices = fit(texts, {"model.pretrained": str(stories), "train.epochs": 1, "model.tied": False})

    (line,) = told(notices, "so tokens have other numbers there")
    assert "the tokenizer is fitted to the data (data.tokenizer_folder = " in line
    assert "table.weight, head.weight" in line
    assert run.model.table.num_embeddings != 512


def test_an_adapter_trains_alone_and_can_be_taken_out_merged_and_put_back(stories, texts, tmp_path):
    own = {"model.pretrained": str(stories), "data.tokenizer_folder": str(stories), **LORA}
    before = stored.load(stories)

    run, notices = fit(texts, own, folder=tmp_path / "run")

    assert told(
        notices, "LoRA of rank 4 beside 35 linear layers: 23,120 numbers train where the whole net has 260,032 (8.9%)"
    )
    assert loss(run) < 2
    model = ts.load(tmp_path / "run").model.eval()
    held = model.state_dict()
    assert torch.equal(
        held["blocks.0.attention.query.base_layer.weight"], before.state_dict()["blocks.0.attention.query.weight"]
    )
    assert torch.equal(held["table.weight"], before.state_dict()["table.weight"])

    tokens = torch.from_numpy(np.arange(3, 60).reshape(1, -1))
    folder = adapters.save(
        model, tmp_path / "adapter", LoraTable.model_validate(run.recipe.model.lora), base=str(stories)
    )
    with torch.no_grad():
        expected = model(tokens)
        again = adapters.load(stored.load(stories), folder)
        assert torch.equal(again(tokens), expected)
        assert torch.allclose(adapters.merge(again)(tokens), expected, atol=1e-5, rtol=1e-5)
    size = sum(one.stat().st_size for one in folder.iterdir())
    assert size < (stories / "model.safetensors").stat().st_size / 8


def test_a_paused_training_with_an_adapter_goes_on_as_if_it_had_not_been(stories, texts, tmp_path):
    own = {"model.pretrained": str(stories), "data.tokenizer_folder": str(stories), **LORA}
    fit(texts, own, folder=tmp_path / "straight")
    fit(texts, own, folder=tmp_path / "paused", until="3 steps")

    fit(texts, own, folder=tmp_path / "paused", resume=True)

    assert same(final(tmp_path / "paused"), final(tmp_path / "straight"))


def test_another_training_begins_from_one_with_an_adapter(stories, texts, tmp_path):
    own = {"model.pretrained": str(stories), "data.tokenizer_folder": str(stories), **LORA}
    fit(texts, own, folder=tmp_path / "first")
    merged = adapters.merge(ts.load(tmp_path / "first").model)

    run, notices = fit(
        texts, {"model.pretrained": str(tmp_path / "first"), "data.tokenizer_folder": str(stories), "optim.lr": 1e-9}
    )

    assert told(notices, "47 of 47 parameters are taken")
    for name, value in merged.state_dict().items():
        assert torch.allclose(run.model.state_dict()[name], value, atol=1e-6), name


def test_an_adapter_in_a_net_of_the_users_own_keeps_its_norms_asleep(tmp_path):
    torch.manual_seed(0)
    net = Net()
    heard = Heard()
    common = {"train.batch_size": 16, "train.epochs": 4, "eval.bootstrap": 0, "run.watch": False, "optim.lr": 0.05}

    run = ts.fit(
        ts.Task(net, data()), {**common, "model.lora.rank": 2, "model.lora.targets": ["re:^body"]}, display=heard
    )

    held, before = run.model.state_dict(), net.state_dict()
    assert torch.equal(held["body.0.1.running_mean"], before["body.0.1.running_mean"])
    assert torch.equal(held["body.0.0.base_layer.weight"], before["body.0.0.weight"])
    assert not torch.equal(held["head.weight"], before["head.weight"])
    assert told(heard.notices, "3 batch norms of what is frozen in evaluation mode")
    assert run.scores["parts"]["test"]["scores"]["accuracy"] > 0.6


def test_gradient_computed_again_trains_the_same(stories, texts):
    own = {"model.pretrained": str(stories), "data.tokenizer_folder": str(stories), "train.epochs": 1}

    plain, _ = fit(texts, own)
    again, _ = fit(texts, {**own, "model.recompute": True})

    assert all(torch.equal(one, again.model.state_dict()[name]) for name, one in plain.model.state_dict().items())


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (
            {"model.lora.rank": 4, "model.freeze": "body"},
            "model.lora keeps the whole net as it begins, so model.freeze",
        ),
        (
            {"model.lora.rank": 4, "model.pretrained": None},
            "model.lora adapts a trained net, and the decoder would be drawn anew",
        ),
        ({"model.lora.rank": 0}, r"model\.lora.*rank = 0: Input should be greater than or equal to 1"),
        ({"model.lora.rnk": 4}, r"no field called 'rnk'; did you mean 'rank'"),
        ({"model.lora.targets": ["quary"]}, "'quary' is no linear layer of this net; did you mean 'query'"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(stories, texts, recipe, said):
    own = {"model.pretrained": str(stories), "data.tokenizer_folder": str(stories)}

    with pytest.raises(RecipeError, match=said):
        fit(texts, {**own, **recipe})


def test_a_net_of_another_kind_than_the_folder_says_so(stories):
    x, y = np.random.default_rng(0).integers(1, 512, (40, 9)), np.arange(40) % 2

    with pytest.raises(ModelError, match=r"none of the 48 weights of .*stories260k"):
        ts.fit(ts.Task("mlp", (x.astype(np.float32), y)), {"model.pretrained": str(stories)}, display=Heard())
