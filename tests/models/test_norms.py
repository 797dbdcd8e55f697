"""Every norm by its name in a recipe: it trains, or is refused with a clear sentence."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

import tunesmith as ts
from tunesmith.blocks import models
from tunesmith.blocks.layers import NORMS
from tunesmith.records import ModelError, Recipe, revise
from tunesmith.reports import QuietDisplay

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(240, 4)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(int)
PICTURES = GENERATOR.normal(size=(120, 8, 8)).astype(np.float32) + 2 * LABELS[:120, None, None] * (np.arange(8) < 4)
WORDS = np.array(["the", "film", "was", "long", "and", "the", "plot", "went", "on", "with", "a", "song", "in", "it"])
TEXTS = [" ".join([*GENERATOR.choice(WORDS, 5), "good" if label else "bad"]) for label in LABELS]
SMALL = {
    "model.width": 16,
    "model.depth": 2,
    "model.dropout": 0.0,
    "train.batch_size": 16,
    "train.ema": None,
    "optim.lr": 1e-2,
    "eval.bootstrap": 0,
}


def trained(tmp_path, task: ts.Task, model: str, name: str, **more):
    recipe = SMALL | {"model.name": model, "model.norm": name} | more
    return ts.fit(task, recipe, folder=tmp_path / "run", display=QuietDisplay())


def rows() -> ts.Task:
    return ts.Task(train=(ROWS, LABELS))


def pictures() -> ts.Task:
    return ts.Task(train=(PICTURES, LABELS[:120]))


def texts() -> ts.Task:
    return ts.Task(train=pl.DataFrame({"text": TEXTS, "y": LABELS}), target="y", columns={"text": "text"})


def ranked(run, inputs, labels) -> float:
    """The share of pairs that a run puts in order."""
    return roc_auc_score(labels, np.asarray(ts.predict(run, inputs).probabilities)[:, 1])


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("name", [name for name in NORMS if name != "instance"])
def test_an_mlp_learns_with_every_norm(tmp_path, name, residual):
    run = trained(tmp_path, rows(), "mlp", name, **{"train.epochs": 4, "model.residual": residual})

    assert ranked(run, ROWS, LABELS) > 0.85


@pytest.mark.parametrize("name", NORMS)
def test_a_cnn_learns_with_every_norm_and_comes_back_from_its_folder(tmp_path, name):
    run = trained(tmp_path, pictures(), "cnn", name, **{"train.epochs": 4})

    again = ts.load(tmp_path / "run")

    assert ranked(run, PICTURES, LABELS[:120]) > 0.95
    assert np.array_equal(again.predict(PICTURES).probabilities, ts.predict(run, PICTURES).probabilities)


def test_instance_norm_of_vectors_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ModelError, match=r"'instance' on vectors.*try 'layer'"):
        trained(tmp_path, rows(), "mlp", "instance")


@pytest.mark.parametrize(
    ("model", "name"), [("lstm", "weight"), ("transformer", "weight"), ("transformer", "rms"), ("bag", "cosine")]
)
def test_nets_of_text_learn_with_norms_of_weights(tmp_path, model, name):
    run = trained(tmp_path, texts(), model, name, **{"train.epochs": 6})

    assert ranked(run, pl.DataFrame({"text": TEXTS}), LABELS) > 0.95


@pytest.mark.parametrize(("model", "name"), [("lstm", "cosine"), ("transformer", "cosine"), ("transformer", "batch")])
def test_norms_that_a_net_of_text_cannot_have_are_refused(tmp_path, model, name):
    with pytest.raises(ModelError, match=rf"model\.norm '{name}' cannot; try '"):
        trained(tmp_path, texts(), model, name)


@pytest.mark.parametrize(
    "name", ["weight", "cosine", "frn", "batch_renorm", "batch_mean_only", "instance", "sync_batch"]
)
def test_a_net_with_the_norm_is_exported_as_plain_pytorch(tmp_path, name):
    run = trained(tmp_path, pictures(), "cnn", name, **{"train.epochs": 1})

    place = ts.export(run, "pytorch", tmp_path / "model")

    assert "import tunesmith" not in (place / "model.py").read_text(encoding="utf-8")


def test_a_block_under_weight_norm_starts_as_its_skip():
    recipe = revise(Recipe(), {"model.norm": "weight"})
    net = models.build("cnn", recipe, {"x": SimpleNamespace(shape=(3, 12, 12))}, 4, "multiclass")
    block = net.stages[0]
    x = torch.randn(2, block.first.in_channels, 5, 5)

    torch.testing.assert_close(block(x), x.relu())
    block(x).sum().backward()
    assert block.last.parametrizations.weight.original0.grad.abs().max() > 0
