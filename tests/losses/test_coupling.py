from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith.blocks.losses import adopt, build, couples_samples


def contrastive(outputs, target):
    similar = functional.normalize(outputs) @ functional.normalize(target).T
    return functional.cross_entropy(similar / 0.1, torch.arange(len(outputs)))


def batch(rows):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 6, dtype=torch.float64, generator=generator), torch.randn(
        rows, 6, dtype=torch.float64, generator=generator
    )


@pytest.mark.parametrize("rows", [2, 3, 31, 64])
def test_losses_of_single_samples_show_rounding_only(rows):
    outputs, target = batch(rows)
    labels = torch.arange(rows) % 6

    assert couples_samples(build("mse", kind="regression"), outputs, target) < 1e-13
    assert couples_samples(adopt(lambda o, t: (o - t).abs().mean()), outputs, target) < 1e-13
    assert couples_samples(adopt(nn.MSELoss(reduction="sum")), outputs, target) < 1e-13
    assert (
        couples_samples(build("cross_entropy", kind="multiclass", class_weights=torch.rand(6)), outputs, labels) < 1e-13
    )


def test_a_contrastive_loss_and_a_mean_over_kept_tokens_do_not_add_up():
    outputs, target = batch(32)
    labels = (torch.arange(32) % 6).where(torch.arange(32) < 20, -100)

    assert couples_samples(adopt(contrastive), outputs, target) > 0.1
    assert couples_samples(adopt(lambda o, t: functional.cross_entropy(o, t)), outputs, labels) > 1e-3


def test_nested_outputs_are_cut_by_rows_and_keep_their_class():
    Pair = namedtuple("Pair", "left right")
    left, right = batch(10)

    assert couples_samples(adopt(lambda o, t: (o.left - o.right).abs().mean()), Pair(left, right), None) < 1e-13


def test_one_row_cannot_be_parted():
    assert couples_samples(adopt(contrastive), *batch(1)) == 0.0
