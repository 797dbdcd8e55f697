from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tunesmith.blocks.experience import number
from tunesmith.blocks.layers import NORMS, norm, norm_for
from tunesmith.blocks.layers.norm.advice import FEWEST
from tunesmith.blocks.layers.norm.group import MOST_GROUPS
from tunesmith.records import ModelError

CNN = nn.Sequential(nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 48, 3))
TEXT = nn.Sequential(nn.Embedding(10, 8), nn.LSTM(8, 8, batch_first=True))
MLP = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
ROWS = TensorDataset(torch.randn(64, 3, 8, 8), torch.zeros(64))


@pytest.mark.parametrize(
    ("model", "data", "options", "name"),
    [
        ("pictures", None, {"batch": 64, "shuffled": True}, "batch"),
        ("pictures", None, {"batch": 8}, "group"),
        ("pictures", None, {"batch": 15}, "group"),
        ("pictures", None, {"batch": 16}, "batch"),
        ("pictures", None, {"batch": 64, "devices": 8}, "group"),
        ("pictures", None, {"batch": 8, "accumulate": 8}, "group"),
        ("pictures", None, {"batch": 64, "shuffled": False}, "group"),
        ("style", None, {}, "instance"),
        ("transformer", None, {"batch": 64}, "layer"),
        (CNN, torch.randn(4, 3, 8, 8), {}, "group"),
        (CNN, (torch.randn(32, 3, 8, 8), torch.zeros(32)), {}, "batch"),
        (CNN, DataLoader(ROWS, batch_size=32, shuffle=True), {}, "batch"),
        (CNN, DataLoader(ROWS, batch_size=32), {}, "group"),
        (CNN, DataLoader(ROWS, batch_size=8, shuffle=True), {}, "group"),
        (CNN, SimpleNamespace(train=DataLoader(ROWS, batch_size=8, shuffle=True)), {}, "group"),
        (CNN, SimpleNamespace(train=ROWS.tensors, batch_size=32), {}, "batch"),
        (TEXT, torch.zeros(32, 7, dtype=torch.long), {}, "layer"),
        (MLP, {"x": torch.randn(32, 4)}, {}, "layer"),
        (nn.TransformerEncoderLayer(8, 2), None, {}, "layer"),
    ],
)
def test_the_advice_fits_the_case(model, data, options, name):
    advice = norm_for(model, data, **options)

    assert advice.name == name, str(advice)
    assert set(advice.alternatives) <= set(NORMS)
    assert len(advice.because) > 40
    if advice.name == "group" and isinstance(model, nn.Module):
        assert advice.options["groups"] == 6
        norm("group", 48, dims=2, **advice.options)  # the groups divide every layer
    if options.get("batch"):
        assert advice.numbers["batch"] == options["batch"]


def test_a_table_gets_layer_none_or_batch_and_not_batch_where_batches_are_small():
    assert norm_for("table", batch=64).alternatives == ("none", "batch")
    assert norm_for("table", batch=4).alternatives == ("none",)


def test_many_devices_get_synchronised_batch_norm_as_a_choice():
    assert "sync_batch" in norm_for("pictures", batch=64, devices=8).alternatives


def test_a_loader_is_not_drawn_from():
    loader = DataLoader(ROWS, batch_size=8, shuffle=True)
    before = torch.get_rng_state()

    norm_for(CNN, loader)

    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(ModelError, match="did you mean 'picture'"):
        norm_for("pictur")


def test_the_numbers_are_those_of_the_rules_of_thumb():
    assert number("norm.choice", "batch_least") == FEWEST
    assert number("norm.choice", "groups") == MOST_GROUPS
