"""Nets of timm by name: built for the data at hand, begun from a file or the cache, judged, loaded again. Skips without timm."""

import builtins

import numpy as np
import pytest
import torch

import tunesmith as ts
from tunesmith.blocks import models
from tunesmith.records import MissingExtra, ModelError, UnknownName
from tunesmith.reports import QuietDisplay

NAME = "timm/test_resnet.r160_in1k"  # timm's own net for tests: 0.5 M numbers
RECIPE = {"train.epochs": 1, "train.batch_size": 16, "eval.bootstrap": 0, "train.threads": 1, "run.watch": False}


class Heard(QuietDisplay):
    def __init__(self):
        self.notices = []

    def notice(self, text):
        self.notices.append(text)


def pictures(rows=60):
    drawn = np.random.default_rng(0)
    y = np.arange(rows) % 3
    x = drawn.integers(0, 60, (rows, 32, 32))
    x[np.arange(rows), :, 8 * y] = 250
    return x.astype(np.uint8), y


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


def test_a_net_begins_from_a_file_with_its_first_convolution_folded_and_its_head_fresh(timm, tmp_path):
    source = timm.create_model("test_resnet", num_classes=10)
    torch.save(source.state_dict(), tmp_path / "net.pth")
    heard = Heard()
    recipe = {**RECIPE, "model.pretrained": str(tmp_path / "net.pth"), "model.freeze": "body", "model.dropout": 0.1}

    run = ts.fit(ts.Task(NAME, pictures()), recipe, folder=tmp_path / "run", display=heard)

    assert any(
        "the first convolution saw 3 channels and sees 1 here: net.conv1.0.weight is summed over its 3" in one
        for one in heard.notices
    )
    assert any("2 of another shape there" in one and "net.fc.weight" in one for one in heard.notices)
    assert torch.equal(run.model.net.layer1[0].conv1.weight, source.layer1[0].conv1.weight)
    assert not torch.equal(run.model.net.fc.weight, source.fc.weight[:3])
    assert run.model.net.drop_rate == 0.1
    again = ts.load(tmp_path / "run").predict(pictures()[0])
    assert len(again.labels) == 60


def test_weights_are_read_from_the_cache_and_nothing_is_downloaded(timm, tmp_path, monkeypatch):
    import huggingface_hub

    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "pytorch_model.bin")
    asked = []

    def look(place, file):
        asked.append((place, file))
        return str(tmp_path / file) if (tmp_path / file).exists() else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", look)
    heard = Heard()

    ts.fit(ts.Task(NAME, pictures()), {**RECIPE, "model.pretrained": "cached"}, display=heard)
    (tmp_path / "pytorch_model.bin").unlink()

    assert asked == [("timm/test_resnet.r160_in1k", file) for file in ("model.safetensors", "pytorch_model.bin")]
    assert any(one.startswith("weights from cached: ") for one in heard.notices)
    with pytest.raises(ModelError, match=r"no weights of test_resnet.r160_in1k are in the cache"):
        ts.fit(ts.Task(NAME, pictures()), {**RECIPE, "model.pretrained": "cached"}, display=heard)


def test_a_net_that_timm_does_not_have_and_data_that_are_no_pictures_are_refused(timm):
    with pytest.raises(UnknownName, match=r"timm has no net called 'resnet81'; did you mean"):
        ts.fit(ts.Task("timm/resnet81", pictures()), RECIPE, display=QuietDisplay())
    with pytest.raises(ModelError, match=r"needs pictures|needs x|reshape them"):
        ts.fit(ts.Task(NAME, (np.zeros((20, 4), np.float32), np.arange(20) % 2)), RECIPE, display=QuietDisplay())


def test_without_timm_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def absent(name, *about, **more):
        if name == "timm":
            raise ImportError("No module named 'timm'")
        return real(name, *about, **more)

    monkeypatch.setattr(builtins, "__import__", absent)

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[vision\]'"):
        ts.fit(ts.Task(NAME, pictures()), RECIPE, display=QuietDisplay())
    assert models.is_built_in(NAME)
    assert not models.is_built_in("resnet18")
