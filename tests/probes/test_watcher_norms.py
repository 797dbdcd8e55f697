"""Batch norms of live trainings."""

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, train


def norms(momentum=0.1, batch=32, keeps=True, epochs=12):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(16, momentum=momentum, track_running_stats=keeps)
    model = nn.Sequential(nn.Linear(4, 16), norm, nn.ReLU(), nn.Linear(16, 3))
    x, y = classes()
    facts = train(model, nn.CrossEntropyLoss(), (3 * x + 5, y), batch=batch, epochs=epochs)
    return facts.facts()["norms"]["1"]


def test_statistics_that_follow_and_those_that_do_not():
    follows, still = norms(), norms(momentum=0.0)

    assert follows["gap_mean"] < 0.5 > follows["gap_spread"]
    assert still["gap_mean"] > 1.0
    assert follows["per_channel"] == 32
    assert follows["updates"] == 120


def test_few_rows_make_poor_statistics():
    assert norms(momentum=1.0, batch=4)["gap_mean"] > 2 * norms()["gap_mean"]


def test_a_norm_without_statistics():
    found = norms(keeps=False)

    assert found["keeps"] is False
    assert "gap_mean" not in found


def test_positions_count_beside_rows():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    x, y = torch.randn(64, 1, 8, 8), torch.randint(0, 3, (64,))

    found = train(model, nn.CrossEntropyLoss(), (x, y), batch=16).facts()["norms"]["1"]

    assert found["per_channel"] == 16 * 36
    assert found["momentum"] == pytest.approx(0.1)
