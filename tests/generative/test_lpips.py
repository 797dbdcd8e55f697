"""Perceptual distance over random pairs; the package itself is stood in for where it is absent."""

import sys
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunesmith.generative import lpips_distance, perceptual_distance
from tunesmith.records import DataError, MissingExtra, RecipeError


def apart(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().flatten(1).mean(1)


def test_pairs_are_of_different_pictures_and_scaled() -> None:
    seen: list[Tensor] = []
    pictures = np.arange(4.0).reshape(4, 1, 1, 1) * np.ones((4, 1, 6, 6))

    def distance(one: Tensor, other: Tensor) -> Tensor:
        seen.append(torch.stack([one[:, :, 0, 0], other[:, :, 0, 0]]))
        return apart(one, other)

    found = perceptual_distance(pictures, pairs=600, low=0, high=3, distance=distance, seed=2)

    values = torch.cat(seen, dim=1)
    assert values.shape == (2, 600, 3)
    assert sorted(set(values.flatten().tolist())) == pytest.approx([-1, -1 / 3, 1 / 3, 1])
    assert (values[0] != values[1]).all()
    assert found.value == pytest.approx((1 + 1 + 1 + 2 + 2 + 3) / 6 * 2 / 3, abs=4 * found.error)
    assert found.pairs == 600


def test_collapse_within_a_class_is_a_small_distance(few: Any) -> None:
    ones = few.pictures[few.labels == 1].reshape(-1, 1, 8, 8)
    copies = (ones[:1] + 0.01 * torch.rand(50, 1, 8, 8)).clamp(0, 1)

    real, made = (perceptual_distance(one, distance=apart) for one in (ones, copies))

    assert made.value < 0.1 * real.value


class Lpips(nn.Module):
    """The package's class as far as it is called."""

    def __init__(self, net: str = "alex", verbose: bool = True) -> None:
        super().__init__()
        warnings.warn("The parameter 'pretrained' is deprecated", UserWarning, stacklevel=2)
        if net == "vgg":
            raise OSError("no network")
        self.net, self.verbose = net, verbose

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        assert one.shape[1:] == (3, 8, 8)
        return apart(one, other).reshape(-1, 1, 1, 1)


def test_the_package_is_asked_for_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Lpips))
    pictures = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    made = lpips_distance("squeeze")

    assert (made.net, made.verbose) == ("squeeze", False)  # type: ignore[attr-defined]
    assert perceptual_distance(pictures, net="alex") == perceptual_distance(pictures, distance=apart)
    with pytest.raises(MissingExtra, match=r"the weights of vgg are not here.*no network.*checkpoints"):
        lpips_distance("vgg")


def test_an_absent_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[lpips\]'"):
        perceptual_distance(torch.rand(3, 3, 8, 8))


def test_wrong_use_is_said() -> None:
    with pytest.raises(DataError, match=r"shape \(3, 64\)"):
        perceptual_distance(np.ones((3, 64)), distance=apart)
    with pytest.raises(DataError, match="values from 255 to 255; give low and high"):
        perceptual_distance(np.full((3, 1, 8, 8), 255), distance=apart)
    with pytest.raises(DataError, match="NaN"):
        perceptual_distance(np.full((3, 1, 8, 8), np.nan), distance=apart)
    with pytest.raises(RecipeError, match="pairs = 1"):
        perceptual_distance(np.ones((3, 1, 8, 8)), pairs=1, distance=apart)
    with pytest.raises(RecipeError, match="net = 'resnet'"):
        lpips_distance("resnet")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="1 numbers for 25 pairs"):
        perceptual_distance(np.ones((3, 1, 8, 8)), pairs=25, distance=lambda one, other: one.mean())
