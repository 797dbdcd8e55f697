"""Where a fresh model starts: lsuv, residual branches at zero, the last bias from the training targets."""

import csv
import gzip
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import tunesmith as ts
from tunesmith.records import DataError, ModelError
from tunesmith.reports import QuietDisplay

DEMO = Path(ts.__file__).parent / "demo_data"
ADULT, SMS = (DEMO / "adult_2000.csv.gz", "income"), (DEMO / "sms_1000.csv.gz", "label")
WHOLE = {"data.val": 0.0, "data.test": 0.0, "train.batch_size": 4000, "train.steps": 2, "eval.bootstrap": 0}


def pictures(rows: int = 400) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    folder = DEMO / "fashion_mnist"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:rows]
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:rows]
    return (images[:, ::2, ::2].astype(np.float32) / 255), labels.astype(np.int64)


def entropy(labels: Any) -> float:
    counts = Counter(labels)
    return -sum(n / counts.total() * math.log(n / counts.total()) for n in counts.values())


def column(source: tuple[Path, str]) -> list[str]:
    with gzip.open(source[0], "rt", encoding="utf-8") as file:
        return [row[source[1]] for row in csv.DictReader(file)]


def fit(source: Any, recipe: dict[str, Any], **about: Any) -> Any:
    data, target = source if isinstance(source[0], Path) else (source, None)
    return ts.fit(data, {**WHOLE, **recipe}, target=target, display=QuietDisplay(), **about)


def first_loss(run: Any) -> float:
    return float(run.signals.read("loss")[1][0])


@pytest.mark.parametrize(
    ("source", "model"),
    [(ADULT, "mlp"), (SMS, "bag"), (SMS, "lstm"), (SMS, "transformer")],
    ids=["mlp", "bag", "lstm", "transformer"],
)
def test_the_first_loss_on_the_demo_data_is_the_entropy_of_the_prior(source, model):
    small = {"model.width": 16, "model.embedding_dim": 16, "data.max_seq_len": 12} if source is SMS else {}
    small |= {"model.heads": 2} if model == "transformer" else {}

    run = fit(source, {"model.name": model, "model.output_bias": "data", **small})

    assert first_loss(run) == pytest.approx(entropy(column(source)), rel=1e-5)


def test_the_first_loss_of_pictures_is_the_entropy_of_the_prior():
    images, labels = pictures()

    run = fit((images, labels), {"model.name": "cnn", "model.width": 8, "model.depth": 1, "model.output_bias": "data"})

    assert first_loss(run) == pytest.approx(entropy(labels.tolist()), rel=1e-5)


def test_a_zero_bias_is_the_default_and_starts_elsewhere():
    run = fit(ADULT, {"model.name": "mlp"})

    assert run.recipe.model.output_bias == "zero"
    assert abs(first_loss(run) - entropy(column(ADULT))) > 0.01


def regression(rows: int = 60) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 3)).astype(np.float32), rng.normal(50, 3, rows).astype(np.float32)


def test_the_first_squared_error_is_the_variance_of_the_target():
    x, y = regression()

    run = fit((x, y), {"model.output_bias": "data", "data.scale_target": "none", "loss.name": "mse"}, kind="regression")

    assert first_loss(run) == pytest.approx(y.var(), rel=1e-4)


@pytest.mark.parametrize("loss", ["poisson_nll", "masked_mse", "quantile"])
def test_losses_with_another_constant_start_from_it(loss):
    x, y = regression()
    y = np.round(y)
    y[:3] = np.nan if loss == "masked_mse" else y[:3]

    run = fit((x, y), {"model.output_bias": "data", "data.scale_target": "none", "loss.name": loss}, kind="regression")

    mean = np.nanmean(y.astype(np.float64))
    expected = {
        "poisson_nll": np.mean(mean - y * np.log(mean)),
        "masked_mse": np.nanvar(y),
        "quantile": np.mean(np.abs(y - mean)) / 2,
    }
    assert first_loss(run) == pytest.approx(expected[loss], rel=1e-4)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_model_of_ones_own(outputs):
    x = np.random.default_rng(0).normal(size=(66, 4)).astype(np.float32)
    y = (np.arange(66) % 11 == 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))

    run = fit((x, y), {"model.output_bias": "data"}, model=model)

    assert first_loss(run) == pytest.approx(entropy(y.tolist()), rel=1e-5)


def test_targets_behind_a_loader_are_counted_and_its_order_stays():
    x = torch.randn(44, 4, generator=torch.Generator().manual_seed(0))
    y = (torch.arange(44) % 4 == 0).long()

    def loader() -> Any:
        return DataLoader(TensorDataset(x, y), batch_size=44, shuffle=True, generator=torch.Generator().manual_seed(1))

    def trained(bias: str) -> Any:
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        recipe = {"train.epochs": 1, "model.output_bias": bias, "eval.bootstrap": 0}
        return ts.fit(loader(), recipe, model=model, val=(x.numpy(), y.numpy()), display=QuietDisplay())

    assert first_loss(trained("data")) == pytest.approx(entropy(y.tolist()), rel=1e-5)


def test_weights_of_classes_and_samplers_move_the_constant():
    x, y = np.zeros((40, 2), np.float32), (np.arange(40) % 10 == 0).astype(np.int64)
    x[:] = np.random.default_rng(0).normal(size=x.shape)

    balanced = fit((x, y), {"model.name": "mlp", "model.output_bias": "data", "loss.class_weights": "balanced"})
    evened = fit((x, y), {"model.name": "mlp", "model.output_bias": "data", "data.sampler": "oversample"})

    assert first_loss(balanced) == pytest.approx(math.log(2), rel=1e-5)
    assert first_loss(evened) == pytest.approx(math.log(2), rel=1e-5)


def test_several_labels_with_weights():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = np.stack([np.arange(40) % 4 == 0, np.arange(40) % 2 == 0], 1).astype(np.float32)

    run = fit((x, y), {"model.output_bias": "data"}, kind="multilabel")

    expected = (entropy(y[:, 0].tolist()) + entropy(y[:, 1].tolist())) / 2
    assert first_loss(run) == pytest.approx(expected, rel=1e-5)


def before_training(source: Any, recipe: dict[str, Any], **about: Any) -> Any:
    """The model after updates with a rate so small that they move nothing that is asked here."""
    return fit(source, {"optim.name": "sgd", "optim.lr": 1e-12, "optim.weight_decay": 0.0, **recipe}, **about).model


def test_lsuv_gives_a_table_net_unit_variance():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 5)).astype(np.float32), np.arange(200) % 3
    recipe = {"model.name": "mlp", "model.init": "lsuv", "model.norm": "none", "model.activation": "tanh"}

    model = before_training((x, y), {**recipe, "data.scale": "none", "model.residual": False, "model.depth": 4})

    seen = []
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda m, a, o: seen.append(o.var(unbiased=False).item()))
    model.eval()(torch.from_numpy(x))
    assert len(seen) == 5
    assert all(abs(variance - 1) < 0.1 + 1e-3 for variance in seen)


@pytest.mark.parametrize("norm", ["none", "batch", "weight"])
def test_lsuv_gives_a_picture_net_unit_variance(norm):
    images, labels = pictures(256)
    recipe = {"model.name": "cnn", "model.init": "lsuv", "model.norm": norm, "model.width": 8, "model.depth": 2}

    run = fit((images, labels), {"optim.name": "sgd", "optim.lr": 1e-12, **recipe})

    notices = [decision["because"] if "because" in decision else str(decision) for decision in run.decisions]
    assert any("lsuv: the outputs of" in notice for notice in notices)
    assert all(torch.isfinite(parameter).all() for parameter in run.model.parameters())


def blocks(model: nn.Module, name: str) -> list[nn.Module]:
    return [module for module in model.modules() if type(module).__name__ == name]


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_residual_branches_of_a_table_net_start_at_zero(norm):
    model = before_training(ADULT, {"model.name": "mlp", "model.zero_residual": True, "model.norm": norm})

    found = blocks(model, "ResidualBlock")
    assert found
    assert all(block.contract.weight.abs().max() < 1e-9 for block in found)
    assert all(block.expand.weight.abs().max() > 1e-3 for block in found)


def test_residual_branches_of_a_picture_net_start_at_zero():
    recipe = {"model.name": "cnn", "model.zero_residual": True, "model.width": 8, "model.depth": 2}

    model = before_training(pictures(64), recipe)

    found = blocks(model, "Block")
    assert all(block.last_norm.weight.abs().max() < 1e-9 for block in found)


def test_residual_branches_of_a_transformer_start_at_zero():
    recipe = {"model.name": "transformer", "model.zero_residual": True, "model.width": 16, "model.heads": 2}

    model = before_training(SMS, {**recipe, "model.embedding_dim": 16, "data.max_seq_len": 12})

    found = blocks(model, "Block")
    assert all(block.attention.join.weight.abs().max() < 1e-9 for block in found)
    assert all(block.contract.weight.abs().max() < 1e-9 for block in found)
    assert all(block.attention.project.weight.abs().max() > 1e-3 for block in found)


def test_all_three_train_and_resume_bit_for_bit(tmp_path):
    recipe = {"model.name": "mlp", "model.init": "lsuv", "model.zero_residual": True, "model.output_bias": "data"}
    settings = {**recipe, "train.epochs": 4, "train.batch_size": 128, "model.width": 16, "eval.bootstrap": 0}

    def run(folder: str, **control: Any) -> Any:
        data, target = ADULT
        return ts.fit(data, settings, target=target, folder=tmp_path / folder, display=QuietDisplay(), **control)

    whole = run("whole")
    run("parted", until="2 epochs")
    parted = run("parted", resume=True)

    losses = list(whole.signals.read("loss")[1])
    assert min(losses[-5:]) < losses[0]
    assert list(parted.signals.read("loss")[1]) == losses
    mine, yours = whole.model.state_dict(), parted.model.state_dict()
    assert all(torch.equal(mine[name], yours[name]) for name in mine)
    assert ts.load(tmp_path / "whole") is not None


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        while True:
            yield torch.zeros(2), 0


@pytest.mark.parametrize(
    ("model", "recipe", "error", "match"),
    [
        (
            nn.Linear(4, 2, bias=False),
            {"model.output_bias": "data"},
            ModelError,
            "output_bias = 'data': .* has no bias",
        ),
        (
            nn.Sequential(nn.Linear(4, 2), nn.ReLU()),
            {"model.output_bias": "data"},
            ModelError,
            "output_bias = 'data': ReLU stands between|output_bias = 'data': relu stands between",
        ),
        (nn.Linear(4, 2), {"model.zero_residual": True}, ModelError, "model.zero_residual: no residual branch"),
        ("mlp", {"model.zero_residual": True, "model.residual": False}, ModelError, "model.zero_residual: no residual"),
    ],
)
def test_what_a_model_cannot_do_is_told_with_the_field(model, recipe, error, match):
    x, y = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), np.arange(40) % 2

    with pytest.raises(error, match=match):
        fit((x, y), recipe, model=model)


def test_a_stream_without_an_end_has_no_counts():
    from tunesmith.training.starting import loader_targets

    with pytest.raises(DataError, match="no known length"):
        loader_targets(DataLoader(Endless(), batch_size=2))
