"""Features of Inception; the package is stood in for where it is absent, since its weights would be downloaded."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from tunesmith.generative import frechet_distance, inception_features
from tunesmith.records import DataError, MissingExtra


class Extractor:
    """The package's class as far as it is called."""

    made: tuple[object, ...] = ()
    batches: tuple[int, ...] = ()

    def __init__(self, name: str, layers: list[str], feature_extractor_weights_path: str | None) -> None:
        if feature_extractor_weights_path == "absent.pth":
            raise FileNotFoundError("absent.pth")
        Extractor.made = (name, layers, feature_extractor_weights_path)
        Extractor.batches = ()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "64", "192", "768", "2048", "logits_unbiased", "logits"

    def __call__(self, pictures: Tensor) -> tuple[Tensor]:
        assert pictures.dtype == torch.uint8
        assert pictures.shape[1] == 3
        Extractor.batches += (len(pictures),)
        return (pictures.float().mean((2, 3)),)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    holder = SimpleNamespace(FeatureExtractorInceptionV3=Extractor)
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", holder)


@pytest.mark.usefixtures("package")
def test_pictures_go_through_the_net_in_batches() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8)).astype(np.uint8)

    found = inception_features(pictures, layer="768", weights=Path("inception.pth"), batch_size=4)

    assert Extractor.made == ("inception-v3-compat", ["768"], "inception.pth")
    assert Extractor.batches == (4, 4, 2)
    np.testing.assert_allclose(found, pictures.mean((2, 3)).repeat(3, axis=1), rtol=1e-6)
    assert frechet_distance(found, found).value == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("package")
def test_wrong_use_is_said() -> None:
    with pytest.raises(DataError, match=r"pictures came as torch\.float32; whole numbers from 0 to 255"):
        inception_features(torch.rand(2, 3, 8, 8))
    with pytest.raises(DataError, match=r"shape \(2, 8, 8\)"):
        inception_features(np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(DataError, match="layer = '1024': one of 64, 192"):
        inception_features(np.zeros((2, 3, 8, 8), np.uint8), layer="1024")  # type: ignore[arg-type]
    with pytest.raises(MissingExtra, match=r"the weights of Inception are not here.*absent\.pth"):
        inception_features(np.zeros((2, 3, 8, 8), np.uint8), weights="absent.pth")


def test_an_absent_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[fidelity\]'"):
        inception_features(np.zeros((2, 3, 8, 8), np.uint8))
