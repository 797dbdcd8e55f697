"""Nets of Transformers from a local folder, where the library is."""

import sys
from types import SimpleNamespace

import pytest
import torch

import tunesmith as ts
from tests.training.pretrained.test_beginning import Heard
from tunesmith.blocks import models
from tunesmith.blocks.models import stored
from tunesmith.blocks.models.generating import generate
from tunesmith.records import MissingExtra, ModelError, Recipe, revise

SPEC = {"tokens": SimpleNamespace(vocabulary=30, length=8, padding=0)}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    net = models.build(
        "decoder", revise(Recipe(), {"model.width": 16, "model.depth": 2, "model.kv_heads": 2}), SPEC, 30, "language"
    )
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return stored.write(net, tmp_path / "llama")


def built(folder, kind="language", outputs=30, **changes):
    pytest.importorskip("transformers")
    return models.build(f"transformers/{folder}", revise(Recipe(), changes), SPEC, outputs, kind).eval()


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(MissingExtra, match=r"need transformers .*pip install 'tunesmith\[text\]'"):
        models.build(f"transformers/{tmp_path}", Recipe(), SPEC, 30, "language")


def test_a_language_model_gives_the_logits_of_ours_packed_too(folder):
    ours, theirs = stored.load(folder), built(folder)
    tokens = torch.randint(1, 30, (2, 8), generator=torch.Generator().manual_seed(0))
    segments = torch.tensor([[1, 1, 1, 2, 2, 2, 2, 0], [1, 2, 2, 3, 3, 3, 3, 3]])
    packed = {"tokens": tokens, "segments": segments}

    with torch.no_grad():
        assert torch.allclose(theirs(tokens), ours(tokens), atol=1e-5)
        real = segments > 0
        assert torch.allclose(theirs(packed)[real], ours(packed)[real], atol=1e-5)
    prompts = [[3, 4], [5, 6, 7]]
    assert generate(theirs, prompts, longest=6) == generate(ours, prompts, longest=6)


def test_a_classifier_overlooks_padding_and_takes_the_dropout_of_the_recipe(folder):
    net = built(folder, "multiclass", 3, **{"model.dropout": 0.3})
    given = torch.tensor([[5, 6, 7, 0, 0]])

    assert net(given).shape == (1, 3)
    assert torch.allclose(net(given), net(given[:, :3]), atol=1e-6)


def test_it_trains_in_our_loop_with_an_adapter(folder):
    pytest.importorskip("transformers")
    tokens = torch.randint(1, 30, (60, 9), generator=torch.Generator().manual_seed(0)).sort(1).values
    recipe = {
        "train.epochs": 3, "train.batch_size": 8, "optim.lr": 5e-2, "eval.bootstrap": 0, "run.watch": False,
        "model.lora.rank": 2, "model.lora.targets": ["q_proj", "v_proj", "down_proj"],
    }  # fmt: skip
    net = built(folder)
    before = {name: value.clone() for name, value in net.state_dict().items()}

    run = ts.fit(
        ts.Task(net, (tokens[:, :-1].numpy(), tokens[:, 1:].numpy()), kind="language"), recipe, display=Heard()
    )

    held = run.model.state_dict()
    part = "net.model.layers.0.self_attn.q_proj"
    assert torch.equal(held[f"{part}.base_layer.weight"], before[f"{part}.weight"])

    def loss(model):
        with torch.no_grad():
            logits = model.eval()(tokens[:, :-1])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    assert loss(run.model) < loss(net) - 0.1


def test_a_folder_that_is_none_or_holds_no_model_is_one_sentence(tmp_path):
    pytest.importorskip("transformers")

    with pytest.raises(ModelError, match=r"there is no folder .*nowhere; give one that save_pretrained"):
        built(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="Transformers reads no language model from it"):
        built(tmp_path)
