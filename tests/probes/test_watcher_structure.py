"""Start weights, units that are alike, linear layers in a row, settings."""

import math

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, net, train


def built(model, **how):
    return train(model, nn.CrossEntropyLoss(), classes(), **how).facts()


def test_units_that_stay_alike_and_a_head_of_zeros_that_wakes():
    same, woken = net(), net()
    with torch.no_grad():
        same[0].weight.copy_(same[0].weight[:1].expand_as(same[0].weight).clone())
        same[0].bias.zero_()
        same[2].weight.copy_(same[2].weight[:, :1].expand_as(same[2].weight).clone())
        woken[2].weight.zero_()

    assert built(same)["alike"] == {"0.weight": True}
    assert built(woken)["alike"] == {"2.weight": False}
    assert "alike" not in built(net())


def test_start_weights_against_their_inputs():
    model = nn.Sequential(nn.Linear(4, 4000), nn.ReLU(), nn.Linear(4000, 3))
    nn.init.kaiming_normal_(model[0].weight)

    gains = built(model, epochs=1)["gains"]

    assert gains["0.weight"] == pytest.approx(math.sqrt(2), rel=0.05)
    assert gains["2.weight"] == pytest.approx(1 / math.sqrt(3), rel=0.05)  # torch's own draw


def test_linear_layers_in_a_row_are_seen_through_dropout_and_not_through_an_activation():
    chained = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.1), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))

    found = built(chained)

    assert found["chains"] == [{"first": "0", "second": "2", "sizes": [4, 16, 8]}]
    assert built(net())["chains"] == []


def test_a_function_between_is_seen():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.b(torch.tanh(self.a(x)))

    assert built(Functional())["chains"] == []


def test_what_the_inputs_meet_first_and_the_settings():
    model = nn.Sequential(nn.BatchNorm1d(4), net())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1)

    found = built(model, optimizer=optimizer)

    assert found["begins"] == "BatchNorm1d"
    assert found["settings"] == {"name": "AdamW", "lr": 1e-3, "betas": [0.8, 0.99], "eps": 1e-6, "weight_decay": 0.1}
    assert found["weighted"] == 2
    assert found["widths"] == {"1.0": [4, 16], "1.2": [16, 3]}
